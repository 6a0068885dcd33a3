# The guest's own NBD client, on a TCP connection to guest_port of the host: data is written and read back, dropped
# and gone; then swap on it, with a hog of guest_hog_mib.
ifconfig lo up
ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up || fail network
nbd-client 10.0.2.2 "$guest_port" /dev/nbd0 -N "$guest_export" -b 4096 -C 2 -swap >/tmp/client 2>&1 ||
  fail "nbd-client: $(tr '\n' ';' </tmp/client)"
report bytes "$(blockdev --getsize64 /dev/nbd0)"

# 1 MiB of text and 1 MiB that does not compress, from the first MiB of the device on.
seq 1000000 1200000 | head -c 1048576 >/tmp/data
dd if=/dev/urandom bs=64k count=16 >>/tmp/data 2>/dev/null || fail "no room for the data"
dd if=/tmp/data of=/dev/nbd0 bs=64k seek=16 conv=fsync 2>/dev/null || fail write
echo 3 >/proc/sys/vm/drop_caches
blockdev --flushbufs /dev/nbd0
dd if=/dev/nbd0 bs=64k skip=16 count=32 2>/dev/null | cmp - /tmp/data || fail "read back"

blkdiscard -o 1048576 -l 1048576 /dev/nbd0 || fail discard
blockdev --flushbufs /dev/nbd0
dd if=/dev/zero bs=64k count=16 2>/dev/null >/tmp/left
tail -c 1048576 /tmp/data >>/tmp/left
dd if=/dev/nbd0 bs=64k skip=16 count=32 2>/dev/null | cmp - /tmp/left || fail "after a discard"
rm /tmp/data /tmp/left

guest_device=nbd0
guest_programs=0
. /swap.sh
nbd-client -d /dev/nbd0 >/dev/null 2>&1 || fail disconnect
