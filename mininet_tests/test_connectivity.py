from mininet_tests.network import WeirNetwork
def test_ping(network: WeirNetwork) -> None:
    h = network.hosts
    print(h["h1"].run("ping","-c2","-W2",h["h3"].v4, check=False).stdout)
    print(h["h1"].run("ping","-c2","-W2",h["h5"].v6, check=False).stdout)
    print(network.ovs.vsctl("show"))
    print(network.ovs.ofctl("--names", "dump-flows", "s1"))
    print(network.logs())
