"""SR-IOV: physical functions, their virtual functions (VFs), and the ports that stand for these on the host."""
