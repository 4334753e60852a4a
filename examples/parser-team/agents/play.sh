# A scripted teammate: plays a recorded session as an agent CLI would run it. It thinks, prints
# what it does, edits files in its worktree (the current directory), and leaves the rest to pleach.
#   play.sh SESSION      the prompt is in $PLEACH_PROMPT_FILE
session=$1

think() { # think SECONDS TEXT
	printf '● %s\n' "$2"
	sleep "$1"
}

edit() { # edit PATCH: what the model wants changed
	printf '✎ %s\n' "$(sed -n 's|^+++ b/||p' "agents/patches/$1.patch" | tr '\n' ' ')"
	git apply "agents/patches/$1.patch"
}

printf '› %s\n' "$(head -n 1 "$PLEACH_PROMPT_FILE")"
case $session in
lex)
	think 1 "the tokenizer stops at blanks and does not know names"
	edit lex
	;;
number)
	think 2 "fractions and exponents are missing"
	edit number
	;;
vars)
	# This one commits by itself, as some agents do.
	think 1 "the table was never written"
	edit vars
	git -c user.name=Scripted -c user.email=scripted@localhost commit -q -a -m "Keep variables"
	;;
parse)
	think 2 "precedence climbing, brackets, calls"
	edit parse
	;;
eval)
	# Its first attempt dies half-way, as agents do; the plan allows one retry.
	tried=$(git rev-parse --git-common-dir)/calc-eval-tried
	think 1 "walking the tree"
	if [ ! -e "$tried" ]; then
		: >"$tried"
		printf 'static int half_an_edit' >>src/eval.c
		printf 'error: the model is overloaded\n' >&2
		exit 1
	fi
	edit eval
	;;
print)
	think 3 "brackets only where precedence needs them"
	edit print
	printf 'what is left to do: nothing\n' >notes.txt # untracked, and worth keeping
	;;
speed-careful)
	think 2 "a switch for every character"
	edit speed-careful
	;;
speed-clever)
	think 1 "the length of a name is counted three times"
	edit speed-clever
	;;
speed-hasty)
	think 1 "one blank is surely enough"
	edit speed-hasty
	;;
functions)
	think 1 "sqrt, min, max"
	edit functions
	;;
docs)
	think 1 "one table of operators"
	edit docs
	;;
release)
	think 1 "what changed since the start"
	printf '\n## 1.0\n\nExpressions with variables and functions.\n' >>CHANGES.md
	;;
*)
	printf 'no session %s\n' "$session" >&2
	exit 2
	;;
esac
printf '✓ done\n'
