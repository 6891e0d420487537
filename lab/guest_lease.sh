#!/bin/busybox sh
# What udhcpc calls when something becomes of its lease: the interface gets what the server said.
case $1 in
deconfig) ip address flush dev "$interface" && ip link set "$interface" up ;;
bound | renew)
    ip address replace "$ip/$mask" dev "$interface"
    [ -z "$mtu" ] || ip link set "$interface" mtu "$mtu"
    for one in $router; do ip route replace default via "$one" dev "$interface"; done
    echo "lease: address=$ip/$mask router=$router dns=$dns mtu=$mtu routes=$staticroutes"
    ;;
esac
