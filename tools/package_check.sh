#!/usr/bin/env bash
# Tries the archive that cpack makes on a bare machine: unpacks it into a root folder of its own, where there is no
# compiler, no Python and nothing of the build, starts bin/pretrain there by the name of a recipe alone, and says how
# long it took to the first picture. With debootstrap the folder is a minimal Debian, else it holds glibc and nothing
# else. Needs root (chroot, mount).
# Usage: tools/package_check.sh ARCHIVE.tar.gz [further options of pretrain]
#   PREVIT_CHECK_SECONDS  how long to wait for the picture (180)
set -euo pipefail
[[ $# -ge 1 && -f $1 ]] || { echo "usage: tools/package_check.sh ARCHIVE.tar.gz [options of pretrain]" >&2; exit 2; }
[[ $(id -u) -eq 0 ]] || { echo "package_check.sh: needs root" >&2; exit 2; }
# In a mount namespace of its own, so that nothing stays mounted.
[[ -n ${PREVIT_CHECK_INSIDE:-} ]] || PREVIT_CHECK_INSIDE=1 exec unshare --mount "$0" "$@"
archive=$(realpath "$1")
shift

root=$(mktemp -d)
run=
finish() {
  [[ -z $run ]] || kill "$run" 2>/dev/null || true
  wait
  umount "$root/proc" 2>/dev/null || true
  rm -rf --one-file-system "$root"
}
trap finish EXIT

# glibc's own files, where its loader looks for them, and two devices.
copy_glibc() {
  local name file
  mkdir -p "$root"/{dev,proc,tmp,root,lib64}
  for name in ld-linux-x86-64.so.2 ld-linux-aarch64.so.1 libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2 librt.so.1 \
              libresolv.so.2 libutil.so.1 libmvec.so.1; do
    for file in /lib64/$name /lib/"$(uname -m)"-linux-gnu/$name /lib/$name; do
      [[ -e $file ]] || continue
      mkdir -p "$root$(dirname "$file")"
      cp -L "$file" "$root$file"
    done
  done
  mknod -m 666 "$root/dev/null" c 1 3
  mknod -m 666 "$root/dev/urandom" c 1 9
}

if command -v debootstrap >/dev/null && debootstrap --variant=minbase stable "$root" >"$root.log" 2>&1; then
  echo "a minimal Debian $(cat "$root/etc/debian_version")"
else
  copy_glibc
  echo "a root folder that holds $(find "$root" -type f -name '*.so*' | wc -l) files of glibc"
fi
rm -f "$root.log"
mount -t proc proc "$root/proc"

start=$SECONDS
mkdir -p "$root/opt"
tar -xzf "$archive" -C "$root/opt"
folder=$(cd "$root/opt" && echo *)
echo "unpacked after $((SECONDS - start)) s: $(du -sm "$root/opt" | cut -f1) MB, of an archive of $(du -sm "$archive" | cut -f1) MB"

chroot=$(PATH=$PATH:/usr/sbin command -v chroot)
inside() { exec env -i PATH=/usr/bin:/bin HOME=/root "$chroot" "$root" "$@"; }
(inside "/opt/$folder/bin/pretrain" --version)
# As somebody does who has just unpacked it: from the folder, by the recipe's name.
inside "/opt/$folder/bin/pretrain" --recipe mae.yaml --out /root/run --device cpu "$@" >"$root/root/output" 2>&1 &
run=$!
until picture=$(find "$root/root/run/previews" -name '*.png' 2>/dev/null | head -1); [[ -n $picture ]]; do
  if ! kill -0 "$run" 2>/dev/null || ((SECONDS - start > ${PREVIT_CHECK_SECONDS:-180})); then
    echo "no picture after $((SECONDS - start)) s:"
    tail -5 "$root/root/output"
    exit 1
  fi
  sleep 1
done
echo "first picture $((SECONDS - start)) s after unpacking began: ${picture#"$root"}"
