# What is left of an installation when its packages are unpacked: the maintainer scripts run, in
# dpkg's order.
cp /usr/share/base-passwd/passwd.master /etc/passwd
cp /usr/share/base-passwd/group.master /etc/group
ldconfig
# All bytecode is there already; the maintainer scripts of Python would make it again, for a minute.
: >/tmp/nothing.py
mount --bind /tmp/nothing.py /usr/lib/python3.11/py_compile.py
for package in base-passwd base-files; do
    dpkg --force-depends --configure $package
done
dpkg --configure --pending --force-configure-any || dpkg --configure --pending
umount /usr/lib/python3.11/py_compile.py
dpkg --audit
systemd-machine-id-setup
systemctl set-default multi-user.target
touch /etc/.updated /var/.updated # what only a first boot would do is done
