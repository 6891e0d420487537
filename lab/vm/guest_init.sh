#!/bin/busybox sh
# The first process of a full guest: the machine's own files, read-only over 9p, under a layer in memory that is
# forgotten; then the command that the lab left in the share "work". Where it cannot go on, it says why, and stops.
box=/bin/busybox
stop() { echo "weir-lab: $*"; $box poweroff -f; }
share() { $box mount -t 9p -o "trans=virtio,version=9p2000.L,msize=524288,$3" "$1" "$2" || stop "no share $1"; }

$box mount -t proc proc /proc
$box mount -t sysfs sysfs /sys
$box mount -t devtmpfs devtmpfs /dev
while read -r module; do $box insmod "/modules/$module" || stop "no module $module"; done </modules/order

share root /below ro,cache=loose
$box mount -t tmpfs -o mode=755 tmpfs /memory
$box mkdir /memory/changes /memory/scratch
$box mount -t overlay -o lowerdir=/below,upperdir=/memory/changes,workdir=/memory/scratch overlay /root ||
    stop "no overlay"
for place in proc sys dev; do
    $box mkdir -p "/root/$place"
    $box mount --move "/$place" "/root/$place"
done
cd /root || stop "no root"
$box mkdir -p dev/pts dev/shm dev/hugepages lib/modules run
$box mount -t devpts devpts dev/pts
$box mount -t tmpfs tmpfs dev/shm
$box mount -t tmpfs tmpfs run
$box mount -t debugfs debugfs sys/kernel/debug
$box mount -t cgroup2 cgroup2 sys/fs/cgroup
$box mkdir -p run/weir-lab run/netns run/openvswitch
share modules lib/modules ro,cache=loose
share work run/weir-lab cache=none
$box ln -s /proc/self/fd dev/fd
$box ln -s fd/0 dev/stdin
$box ln -s fd/1 dev/stdout
$box ln -s fd/2 dev/stderr
$box cp $box run/busybox
# By exec from here, so that the kernel's own helpers (modprobe) see the new root as well.
exec $box switch_root -c /dev/console /root /run/busybox sh /run/weir-lab/start
