# More memory than there is, on a swap device: guest_device, guest_device_bytes (for zram), guest_hog_mib,
# guest_passes, guest_programs (1: also Python, SQLite and files in a tmpfs, all checked).
device=/dev/$guest_device
block=/sys/block/$guest_device
if [ -e "$block/disksize" ]; then echo "$guest_device_bytes" >"$block/disksize"; fi
# What rotates gets no trims from swap.
echo 0 >"$block/queue/rotational"
started=$(now)
mkswap "$device" >/dev/null || fail mkswap
# Trims what it frees.
swapon -dpages "$device" || fail swapon

from=$(now)
hog "$guest_hog_mib" "$guest_passes" || fail hog
report hog_cs $(($(now) - from))

if [ "$guest_programs" = 1 ]; then
  from=$(now)
  mkdir /full
  mount -t tmpfs -o size=100% none /full
  python3 -I -S /heaps.py /full/stop >/tmp/heaps &
  python=$!
  seq 100000 200000 >/full/text
  i=0
  while [ $i -lt 12 ]; do
    # Text, and bytes that do not compress.
    (echo "copy $i"; cat /full/text) >/full/text.$i
    dd if=/dev/urandom of=/full/random.$i bs=64k count=6 2>/dev/null
    i=$((i + 1))
  done
  (cd /full && md5sum text.* random.*) >/tmp/sums
  # Presses all of it out.
  hog "$((guest_hog_mib / 2))" 0 || fail hog
  (cd /full && md5sum -c -s /tmp/sums) || fail tmpfs
  touch /full/stop
  wait $python || fail "python: $(tail -n 1 /tmp/heaps)"
  report python "$(cat /tmp/heaps)"
  umount /full
  report programs_cs $(($(now) - from))
fi

if [ -e "$block/mm_stat" ]; then report zram "$(cat "$block/mm_stat")"; fi
swapoff "$device" || fail swapoff
report workload_cs $(($(now) - started))
report pages_out "$(counter pswpout)"
report pages_in "$(counter pswpin)"
