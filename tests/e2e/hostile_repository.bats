# What an agent plants in a repository is not executed, and not followed, by the coordinator, the
# workers or pleach-git; and it is told. Agents that come after do not use git: theirs would run it.
load helper

# Every key that names a program, or leads to one; `ran NAME` is what each would do.
plant_configuration() {
	cat >"$W/plant" <<-'S'
	key() { git config "$1" "touch $W/ran-$1"; }
	for k in core.fsmonitor core.pager core.editor core.sshCommand core.askPass core.gitProxy \
		core.alternateRefsCommand sequence.editor gpg.program gpg.ssh.program gpg.x509.program \
		gpg.ssh.defaultKeyCommand diff.external filter.x.clean filter.x.smudge filter.p.process \
		diff.x.command diff.x.textconv merge.x.driver merge.x.recursive credential.helper \
		trailer.t.command trailer.t.cmd interactive.diffFilter uploadpack.packObjectsHook \
		remote.origin.uploadpack remote.origin.receivepack submodule.lib.update sendemail.smtpServer \
		alias.add alias.read-tree alias.merge pager.diff pager.log mergetool.x.cmd difftool.x.cmd \
		browser.x.cmd man.x.cmd guitool.x.cmd web.browser init.templateDir filter.ident.clean; do
		key "$k"
	done
	git config alias.status "!touch $W/ran-alias"
	git config commit.gpgSign true; git config tag.gpgSign true; git config log.showSignature true
	git config merge.verifySignatures true; git config merge.default x; git config submodule.recurse true
	git config filter.x.required true; git config gpg.format ssh
	git config protocol.ext.allow always; git config remote.evil.url "ext::touch $W/ran-ext"
	git config remote.evil.promisor true; git config extensions.partialClone evil
	git config core.repositoryFormatVersion 1
	git config fetch.recurseSubmodules true; git config gc.auto 1; git config maintenance.auto true
	git config core.untrackedCache true; git config feature.manyFiles true
	git config core.attributesFile "$W/attributes"; git config core.excludesFile "$W/excludes"
	echo '* filter=y' >"$W/attributes"; echo '*' >"$W/excludes"
	printf '[filter "y"]\n\tclean = touch %s/ran-included\n\tsmudge = touch %s/ran-included\n' "$W" "$W" >"$W/included"
	git config include.path "$W/included"
	git config "includeIf.gitdir:**.path" "$W/included"
	git config --global include.path "$W/included"
	git config --global filter.g.clean "touch $W/ran-global"
	git config extensions.worktreeConfig true
	git config --worktree filter.w.clean "touch $W/ran-worktree"
	git config --worktree filter.w.smudge "touch $W/ran-worktree"
	git config --worktree core.fsmonitor "touch $W/ran-worktree-fsmonitor"
	common=$(git rev-parse --git-common-dir)
	git config -f "$common/config.worktree" filter.m.clean "touch $W/ran-main-worktree"
	mkdir -p "$common/hooks" "$W/hooks" "$common/info"
	for h in applypatch-msg commit-msg fsmonitor-watchman post-applypatch post-checkout post-commit \
		post-index-change post-merge post-rewrite post-update pre-applypatch pre-auto-gc pre-commit \
		pre-merge-commit pre-push pre-rebase pre-receive prepare-commit-msg push-to-checkout \
		reference-transaction sendemail-validate update proc-receive; do
		for d in "$common/hooks" "$W/hooks"; do
			printf '#!/bin/sh\ntouch "%s/ran-hook-%s"\n' "$W" "$h" >"$d/$h"
			chmod +x "$d/$h"
		done
	done
	git config core.hooksPath "$W/hooks"
	cat >.gitattributes <<-'A'
	*.x filter=x diff=x merge=x
	*.p filter=p
	*.y filter=y
	*.w filter=w
	*.m filter=m
	*.g filter=g
	* diff=x merge=x
	A
	cp .gitattributes "$common/info/attributes"
	for e in x p y w m g; do echo "$e" >"f.$e"; done
	S
}

nothing_ran() {
	local ran
	ran=$(find "$W" -name 'ran-*' | sed 's|.*/||' | sort | xargs)
	is "" "$ran"
}

@test "planted in the configuration, the attributes and the hooks: nothing is run, and it is told" {
	plant_configuration
	gate go
	plan <<-'Y'
	verify: "test -e file"
	team: 2
	tasks:
	  - {id: other, prompt: 'read x <"$W/go"; echo o >file; echo o >o.x; echo o >o.w'}
	  - {id: plant, prompt: 'sh "$W/plant" 2>/dev/null; find "$W" -name "ran-*" -delete; echo p >file', verify: {command: 'test -e f.x', protect: [src], overlay: over/}}
	  - {id: after, prompt: 'echo a >>file; echo a >a.x; echo a >a.w; echo a >a.m; echo a >a.g; echo a >a.p', blocked_by: [plant]}
	  - id: choice
	    prompt: 'echo $PLEACH_KEY >c.x'
	    blocked_by: [plant]
	    alternatives: 2
	    choose: best
	  - {id: dirty, prompt: 'echo d >d.x; exit 1', blocked_by: [plant], retries: 1}
	Y
	mkdir over
	echo hidden >over/hidden.x
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "slot.tampered"' >"$W/told"
	open_gate go
	expect 1 pleach run --headless >/dev/null || expect 3 pleach run --headless >/dev/null
	nothing_ran
	for name in filter.x diff.x merge.x filter.p core.fsmonitor core.hookspath; do
		has "$(pleach --json events | jq -c 'select(.kind == "slot.tampered") | .data.what')" "\"$name\""
	done
	# All that people ask for afterwards.
	pleach compare choice >/dev/null
	pleach diff after >/dev/null
	pleach diff after other >/dev/null
	pleach diff after --stat >/dev/null
	pleach open after -- true </dev/null
	nothing_ran
	pleach merge after >/dev/null || true
	pleach merge other >/dev/null || true # a conflict, which the planted driver would settle
	pleach merge choice --squash >/dev/null || true
	nothing_ran
	pleach gc >/dev/null
	pleach status >/dev/null
	pleach down --now >/dev/null
	# A run again does not take what was planted for the user's own.
	plan <<-'Y'
	tasks:
	  - {id: late, prompt: 'echo l >l.x; echo l >l.w'}
	Y
	expect 0 pleach run --headless >/dev/null
	pleach down --now >/dev/null
	pleach gc --yes >/dev/null
	nothing_ran
	is l "$(git -c core.fsmonitor=false cat-file -p pleach/p/late:l.x)"
	nothing_ran
	# It is all real: git itself runs it.
	git status >/dev/null 2>&1 || true
	[[ -n $(find "$W" -name 'ran-*') ]]
}

# --- links and files that lead elsewhere ---

victim() {
	V=$BATS_TEST_TMPDIR/victim
	mkdir -p "$V/sub"
	echo precious >"$V/file"
	echo precious >"$V/sub/s"
	echo precious >"$V/untracked"
	find "$V" | sort >"$W/victim"
	export V
}

victim_is_whole() {
	is "$(cat "$W/victim")" "$(find "$V" | sort)"
	is "precious precious precious" "$(cat "$V/file" "$V/sub/s" "$V/untracked" | xargs)"
	nothing_ran
}

# hostile NAME SCRIPT: one agent does it, then two more tasks use the same slot, and it is removed
hostile() {
	plan <<-Y
	name: $1
	team: 1
	defaults: {agent: sh, copy: [cp], link: [ln]}
	tasks:
	  - id: evil
	    prompt: |
	$(sed 's/^/      /' <<<"$2")
	  - {id: next, prompt: 'echo n >new; test ! -e leftover', priority: -1}
	  - {id: fresh, prompt: 'test ! -e leftover', fresh: true, priority: -2}
	Y
	sed -i '2{/^name: p$/d}; 1{/^name: p$/d}' pleach.yaml
	sed -i '0,/^defaults: {agent: sh}$/{/^defaults: {agent: sh}$/d}' pleach.yaml
	pleach run --headless >"$W/out" 2>&1 || true
	is "$1 completed completed" "$1 $(task "$1/next" .status) $(task "$1/fresh" .status)"
	expect 0 pleach down --now >/dev/null
	pleach gc --yes >/dev/null
	victim_is_whole
}

hostile_repo() {
	victim
	mkdir -p src cp
	echo s >src/s
	git add -A
	git commit -qm src
	echo secret >cp/secret
	echo linked >ln
	cat >"$W/evil" <<-'S'
	git init -q "$W/evilrepo"
	git -C "$W/evilrepo" config core.fsmonitor "touch $W/ran-evilrepo"
	git -C "$W/evilrepo" config core.worktree "$V"
	S
}

@test "links in place of files and directories of the slot: not followed" {
	hostile_repo
	hostile dir 'rm -r src; ln -s "$V" src'
	hostile file 'rm file; ln -s "$V/file" file'
	hostile parent 'ln -s "$V" leftover; echo x >"$PWD/added"'
	hostile copied 'rm -rf cp; ln -s "$V" cp'
	hostile linked 'rm -f ln; ln -s "$V/file" ln'
	hostile slot 'here=$PWD; cd ..; mv "$here" "$here.gone"; ln -s "$V" "$here"'
}

@test "the folder of all slots led elsewhere: what is there is nobody's slot" {
	hostile_repo
	mkdir "$V/ash"
	echo precious >"$V/ash/mine"
	find "$V" | sort >"$W/victim"
	plan <<-'Y'
	team: 1
	tasks:
	  - {id: evil, prompt: 'cd ..; here=$PWD; mv "$here" "$here.gone"; ln -s "$V" "$here"'}
	  - {id: next, prompt: 'rm -f mine; echo n >new', priority: -1}
	Y
	expect 1 pleach run --headless >/dev/null
	has "$(task next .error.message)" "is not the worktree that was there"
	expect 0 pleach down --now >/dev/null
	pleach gc --yes >/dev/null || true
	victim_is_whole
	is precious "$(cat "$V/ash/mine")"
}

@test "git directories that lead elsewhere: not followed" {
	hostile_repo
	hostile gitfile 'sh "$W/evil"; echo "gitdir: $W/evilrepo/.git" >.git'
	hostile gitlink 'sh "$W/evil"; rm .git; ln -s "$W/evilrepo/.git" .git'
	hostile gitdir 'sh "$W/evil"; rm .git; cp -r "$W/evilrepo/.git" .git'
	hostile commondir 'sh "$W/evil"; echo "$W/evilrepo/.git" >"$(git rev-parse --git-dir)/commondir"'
	hostile entry 'sh "$W/evil"; d=$(git rev-parse --git-dir); mv "$d" "$W/entry"; ln -s "$W/evilrepo/.git" "$d"'
	hostile index 'i=$(git rev-parse --git-path index); rm "$i"; ln -s "$V/file" "$i"'
	hostile head 'd=$(git rev-parse --git-dir); rm "$d/HEAD"; ln -s "$V/file" "$d/HEAD"'
	hostile marker 'd=$(git rev-parse --git-dir); ln -sf "$V/file" "$d/pleach-slot"; ln -sf "$V/file" "$d/pleach.index"; ln -sf "$V/file" "$d/HEAD.new"; ln -sf "$V/file" "$d/pleach-slot.lock"; rm -rf "$d/info"; ln -s "$V/sub" "$d/info"'
	hostile reflog 'd=$(git rev-parse --git-dir); rm -rf "$d/logs"; ln -s "$V" "$d/logs"; ln -s "$V" "$d/refs"; ln -s "$V" "$d/rebase-merge"; ln -s "$V" "$d/modules"'
}

@test "pipes where git has files of its own hold nobody up" {
	mkdir tests && echo x >tests/t1 && echo '*.o' >.gitignore && git add -A && git commit -qm more
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: "rm .gitignore; mkfifo .gitignore tests/.gitignore tests/.gitattributes; echo new >tests/new"}
	  - {id: b, prompt: "echo b >b", blocked_by: [a]}
	Y
	expect 0 pleach run --headless >/dev/null
	is new "$(git show pleach/p/b:tests/new)"
	is b "$(git show pleach/p/b:b)"
	is "" "$(find ../repo.pleach -type p)"
}

@test "pipes in place of the repository's own files hold nobody up" {
	mkdir tests && echo x >tests/t1 && git add -A && git commit -qm more
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: "cd \"$(git rev-parse --git-common-dir)/info\"; rm -f exclude; mkfifo exclude attributes; cd -; echo new >tests/new"}
	  - {id: b, prompt: "echo b >b", blocked_by: [a]}
	Y
	expect 0 pleach run --headless >/dev/null
	is new "$(git show pleach/p/b:tests/new)"
	is b "$(git show pleach/p/b:b)"
	is "" "$(find .git/info -type p)"
}
