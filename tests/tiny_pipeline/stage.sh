# sh stage.sh NAME OUTPUT INPUT: sums INPUT up in many files of OUTPUT. A file in control/ makes NAME misbehave.
name=$1 output=$2 input=$3
mkdir -p "$output"
test -e "control/refuse-$name" && { echo "error: the gate of $name is shut" >&2; exit 1; }
test -e "control/crash-$name" && { rm "control/crash-$name"; kill -KILL $$; }
test -e "control/hang-$name" && { echo "$name hangs"; touch "control/hanging-$name"; sleep 321; }
for i in $(seq "${FILES:-3}"); do find "$input" -type f | sort | xargs cat | cksum > "$output/$i"; done
echo "$name is done"
