# Sourced by the image's `stage` (hil/image), which runs in place of init.
cp -r /usr/lib/serial-runtime /tmp/runtime
[ ! -e /stage/shim ] || cp /stage/shim /tmp/runtime/serial_runtime/_board.abi3.so
ulimit -l unlimited
python3 -IS /stage/measure.py /tmp/runtime "$(cat /stage/seconds)"
