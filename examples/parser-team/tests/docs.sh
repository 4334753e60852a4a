# The manual names every operator and function that there is.
missing=0
for word in '`+`' '`-`' '`*`' '`/`' '`^`' '`sqrt(x)`' '`min(a, b)`' '`max(a, b)`'; do
	grep -qF -- "$word" "$1" || {
		echo "  $1 does not mention $word"
		missing=1
	}
done
[ $missing = 0 ] && echo "docs: complete"
exit $missing
