# ext4 on guest_device. guest_format=1 makes it. Then the journal is replayed, nothing may be left to repair, and every
# file is reported with its checksum. guest_write, if given, is the prefix of names of files that are written from then
# on, flushed one after the other and reported, in the middle of changes that nobody flushes, until the power is cut.
device=/dev/$guest_device
if [ "$guest_format" = 1 ]; then mkfs.ext4 -q -b 4096 "$device" || fail mkfs; fi

e2fsck -y -E journal_only "$device" >/tmp/replay 2>&1
[ $? -le 1 ] || fail "replay: $(tr '\n' ';' </tmp/replay)"
e2fsck -f -n "$device" >/tmp/fsck 2>&1 || fail "fsck: $(tr '\n' ';' </tmp/fsck)"
report fsck clean

mkdir /disk
mount -t ext4 "$device" /disk || fail mount
for file in /disk/kept.*; do
  if [ -e "$file" ]; then
    set -- $(sha256sum "$file")
    report found "${file#/disk/}" "$1"
  fi
done

if [ -n "$guest_write" ]; then
  (
    # Files come, grow, are renamed and go; nothing of it is flushed.
    i=0
    while :; do
      seq $i $((i + 20000)) >/disk/churn.$((i % 7)).new
      mv /disk/churn.$((i % 7)).new /disk/churn.$((i % 7))
      dd if=/dev/zero of=/disk/churn.$(((i + 3) % 7)) bs=4k count=8 seek=$((i % 50)) conv=notrunc 2>/dev/null
      if [ $((i % 5)) = 0 ]; then rm -f /disk/churn.$(((i + 5) % 7)); fi
      i=$((i + 1))
    done
  ) &
  i=0
  # Text, and bytes that do not compress; sizes that end in the middle of a block.
  while [ $i -lt 1000 ]; do
    file=kept.$guest_write.$i
    if [ $((i % 3)) = 0 ]; then
      dd if=/dev/urandom of=/disk/$file bs=$((1000 + i * 37)) count=$((i % 40 + 1)) conv=fsync 2>/dev/null || fail write
    else
      seq $((i * 5000)) $((i * 5000 + i * 131 % 9000)) | dd of=/disk/$file bs=4k conv=fsync 2>/dev/null || fail write
    fi
    set -- $(sha256sum /disk/$file)
    # From here on the host may count on it.
    report flushed "$file" "$1"
    i=$((i + 1))
  done
fi
umount /disk || fail umount
