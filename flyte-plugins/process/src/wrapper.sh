# Runs the program of one attempt. $1 is the attempt's folder, $2 the bound of a log in bytes; the
# rest is the program.
#
# A scheduler may die after it started a wrapper and before it saw its pid; the next one then starts
# another. Only one of them can make the link: each other one ends and does nothing.
# The readers of the logs are members of the group: they outlive the scheduler.
# A process that the program left may hold a reader open: the exit status does not wait for it.
d=$1; max=$2; shift 2
read -r line < /proc/$$/stat; rest=${line##*) }; set -f; set -- "$rest" "$@"
start=$(echo "$1" | cut -d' ' -f20); shift; set +f
own="$d/pid.$$"
echo "$$ $start $(cat /proc/sys/kernel/random/boot_id)" > "$own" || exit 70
ln "$own" "$d/pid" 2> /dev/null || [ -e "$d/pid" ] || mv "$own" "$d/pid" || exit 70
rm -f "$own"
read -r first rest < "$d/pid"
[ "$first" = "$$" ] || exit 0
keep() {
  head -c "$max" > "$1"
  extra=$(head -c 1 | wc -c)
  if [ "$extra" -gt 0 ]; then
    printf '\n[the log is cut here: it is longer than %s bytes]\n' "$max" >> "$1"
    cat > /dev/null
  fi
}
rm -f "$d/out" "$d/err"; mkfifo "$d/out" "$d/err" || exit 70
keep "$d/stdout.log" < "$d/out" & r1=$!
keep "$d/stderr.log" < "$d/err" & r2=$!
# A status above 128 may be the program's own: the shell writes to its stderr that a signal ended a
# command, though not for INT and PIPE, and not each shell for TERM.
exec 2> "$d/ended"
trap : TERM INT
( exec "$@" ) > "$d/out" 2> "$d/err" < /dev/null
code=$?; how=status; signal=
if [ "$code" -gt 128 ]; then
  signal=$(kill -l "$code" 2> /dev/null) || signal=
  if [ -s "$d/ended" ]; then how=signal
  else case $signal in INT | PIPE | TERM) how=either ;; esac
  fi
fi
trap '' TERM INT
n=0
while [ $n -lt 20 ] && { kill -0 $r1 2>/dev/null || kill -0 $r2 2>/dev/null; }; do sleep 0.05; n=$((n+1)); done
echo "$code $how $signal" > "$d/exit.tmp" && mv "$d/exit.tmp" "$d/exit"
rm -f "$d/out" "$d/err" "$d/ended"
exit 0
