# Runs the program of one attempt. $1 is the attempt's folder, $2 the bound of a log in bytes, $3 the
# line at the end of a log that goes on in other files, $4 a control group or nothing; the rest is the
# program.
#
# A scheduler may die after it started a wrapper and before it saw its pid; the next one then starts
# another. Only one of them can make the link: each other one ends and does nothing.
# The readers of the logs are members of the group: they outlive the scheduler.
# A process that the program left may hold a reader open: the exit status does not wait for it. Who
# observes the attempt ends such processes; then the readers end, and this wrapper.
d=$1; max=$2; goes_on=$3; cg=$4; shift 4
read -r line < /proc/$$/stat; rest=${line##*) }; set -f; set -- "$rest" "$@"
start=$(echo "$1" | cut -d' ' -f20); shift; set +f
own="$d/pid.$$"
echo "$$ $start $(cat /proc/sys/kernel/random/boot_id)" > "$own" || exit 70
ln "$own" "$d/pid" 2> /dev/null || [ -e "$d/pid" ] || mv "$own" "$d/pid" || exit 70
rm -f "$own"
read -r first rest < "$d/pid"
[ "$first" = "$$" ] || exit 0
# Copies its input to the log $1. The log has the first half of the bound; what follows is in files of
# a quarter each, LOG.OFFSET, of which the last two stay. `dd` writes each read at once, and takes no
# byte beyond its last read. It says how many reads it did: fewer than asked means the input is over.
# If a file cannot be written, the input is read to its end all the same.
keep() {
  trap '' TERM INT HUP
  log=$1; file=$1; at=0; room=$((max / 2)); before=; last=
  : > "$log" || exec cat > /dev/null
  while :; do
    size=0
    while [ $size -eq 0 ] || [ $((room - size)) -gt $((room / 16)) ]; do
      block=$(((room - size) / 16))
      [ $block -le 65536 ] || block=65536; [ $block -gt 0 ] || block=1
      count=$(((room - size) / block)); [ $count -gt 0 ] || count=1
      said=$(LC_ALL=C dd bs=$block count=$count 2>&1 >> "$file") || exec cat > /dev/null
      said=${said%% records in*}; said=${said##*[!0-9+]}
      [ $((${said:-0})) -eq $count ] || return 0
      size=$(($(wc -c < "$file")))
    done
    at=$((at + size))
    if [ "$file" = "$log" ]; then
      room=$((max / 4)); printf %s "$goes_on" >> "$log"
    else
      [ -z "$before" ] || rm -f "$before"
      before=$last
    fi
    last=$log.$at; file=$last
  done
}
if [ -n "$cg" ]; then
  { echo 0 > "$cg/cgroup.procs" && echo "$cg" > "$d/cgroup"; } 2> /dev/null || cg=
fi
rm -f "$d/out" "$d/err"; mkfifo "$d/out" "$d/err" || exit 70
keep "$d/stdout.log" < "$d/out" & r1=$!
keep "$d/stderr.log" < "$d/err" & r2=$!
# A status above 128 may be the program's own: the shell writes to its stderr that a signal ended a
# command, though not for INT and PIPE, and not each shell for TERM.
exec 2> "$d/ended"
trap : TERM INT
(
  [ -z "$cg" ] || { echo 0 > "$cg/job/cgroup.procs"; } 2> /dev/null
  exec "$@"
) > "$d/out" 2> "$d/err" < /dev/null
code=$?; how=status; signal=
if [ "$code" -gt 128 ]; then
  signal=$(kill -l "$code" 2> /dev/null) || signal=
  if [ -s "$d/ended" ]; then how=signal
  else case $signal in INT | PIPE | TERM) how=either ;; esac
  fi
fi
trap '' TERM INT
[ -z "$cg" ] || { echo 1 > "$cg/job/cgroup.kill"; } 2> /dev/null
n=0
while [ $n -lt 40 ] && { kill -0 $r1 2> /dev/null || kill -0 $r2 2> /dev/null; }; do
  if [ $n -lt 20 ]; then sleep 0.01; else sleep 0.05; fi
  n=$((n + 1))
done
read -r up rest < /proc/uptime || up=-
echo "$code $how ${signal:--} $up" > "$d/exit.tmp" && mv "$d/exit.tmp" "$d/exit"
rm -f "$d/out" "$d/err" "$d/ended"
wait $r1 $r2
exit 0
