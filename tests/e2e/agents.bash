# Real agents against a model that is a program on loopback (tests/agents/install). Where they are not
# installed, a test that needs them is skipped by that name. Loaded after helper.bash.

# Asked before the universe has a home of its own.
AGENTS_BIN=$("$BATS_TEST_DIRNAME/../agents/install" --where) || AGENTS_BIN=

need_agents() {
	[[ -n $AGENTS_BIN ]] || skip "real agents are not installed (./dev setup --agents)"
	PATH=$AGENTS_BIN:$PATH
	((LIMIT >= 90)) || LIMIT=90 # an interpreter of theirs takes its time to start on a busy machine
}

# mock FIXTURES [OPTION…]: a model with these answers (tests/e2e/mock/FIXTURES.json), in $MOCK_URL; the
# agents of this test's home talk to it and to nobody else.
mock() {
	local fixtures=$BATS_TEST_DIRNAME/mock/$1.json
	shift
	llmock -p 0 -f "$fixtures" --strict --journal-max 10000 "$@" >"$BATS_TEST_TMPDIR/mock.log" 2>&1 3>&- 4>&- &
	MOCK=$!
	BACKGROUND="${BACKGROUND:-} $MOCK"
	eventually grep -q "listening on" "$BATS_TEST_TMPDIR/mock.log"
	MOCK_URL=$(grep -om1 'http://[0-9.:]*' "$BATS_TEST_TMPDIR/mock.log")
	agents_home
}

agents_home() {
	mkdir -p "$HOME/.pi/agent" "$HOME/.codex" "$HOME/.qwen"
	cat >"$HOME/.pi/agent/models.json" <<-J
	{"providers":{"mock":{"baseUrl":"$MOCK_URL/v1","api":"openai-completions","apiKey":"x",
	 "models":[{"id":"mock-1","cost":{"input":3,"output":15,"cacheRead":0,"cacheWrite":0}}]}}}
	J
	cat >"$HOME/.pi/agent/settings.json" <<-'J'
	{"defaultProvider":"mock","defaultModel":"mock-1","retry":{"enabled":false,"provider":{"maxRetries":0}}}
	J
	cat >"$HOME/.codex/config.toml" <<-T
	model = "mock-1"
	model_provider = "mock"
	[model_providers.mock]
	name = "mock"
	base_url = "$MOCK_URL/v1"
	wire_api = "responses"
	request_max_retries = 0
	stream_max_retries = 0
	T
	cat >"$HOME/.qwen/settings.json" <<-'J'
	{"security":{"auth":{"selectedType":"openai"}},"privacy":{"usageStatisticsEnabled":false},
	 "general":{"enableAutoUpdate":false}}
	J
	export OPENAI_API_KEY=x OPENAI_BASE_URL=$MOCK_URL/v1 OPENAI_MODEL=mock-1
	export PI_OFFLINE=1 PI_TELEMETRY=0
}

# asked WORDS: how often the model was asked with these words in the last message of a person
asked() {
	python3 -c 'import sys, urllib.request as r; sys.stdout.buffer.write(r.urlopen(sys.argv[1], timeout=20).read())' \
		"$MOCK_URL/__aimock/journal?limit=10000" | jq --arg w "$1" '
		[.. | objects | select(has("messages")) | [.messages[] | select(.role == "user")] | last | tostring
		 | select(contains($w))] | length'
}
