# Our packages, with the board's profile.
dpkg --install /stage/*.deb
cp /stage/profile.toml /etc/serial-runtime/profile.toml
