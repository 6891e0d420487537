"""Virtual machines, emulated: what this machine's kernel or hardware lacks. See docs/vm-lab.md."""
