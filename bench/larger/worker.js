// The worker of graphile.py: runs each job's command as a process and, once that has ended, tells
// the database (plan.sql) what it unblocks. Writes a byte to descriptor TOLD when it listens, and one
// for each job that is complete there. Its jobs at a time: CONCURRENCY; the database: PG….
"use strict";
const { spawn } = require("child_process");
const { EventEmitter } = require("events");
const { writeSync } = require("fs");
const { Logger, run } = require("graphile-worker");
const { Pool } = require("pg");

const concurrency = Number(process.env.CONCURRENCY);
const told = Number(process.env.TOLD);

function succeeds(command) {
	return new Promise((resolve, reject) => {
		const child = spawn(command[0], command.slice(1), { stdio: "ignore" });
		child.once("error", reject);
		child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`${command[0]}: exit ${code}`))));
	});
}

async function task(payload, helpers) {
	await succeeds(payload.command);
	if (payload.task !== undefined)
		await helpers.withPgClient((client) =>
			client.query({ name: "finish", text: "SELECT plan.finish($1)", values: [payload.task] }));
}

async function main() {
	const events = new EventEmitter();
	events.on("pool:listen:success", () => writeSync(told, "l"));
	events.on("job:complete", () => writeSync(told, "c"));
	events.on("job:error", ({ error }) => console.error(error));
	const runner = await run({
		pgPool: new Pool({ max: concurrency + 2 }),
		concurrency,
		pollInterval: 2000,
		logger: new Logger(() => () => {}),
		taskList: { task },
		events,
	});
	await runner.promise;
}

main().catch((error) => {
	console.error(error);
	process.exit(1);
});
