// SPDX-License-Identifier: ISC
// What a mail program on npm's imapflow does with a mailbox, every answer judged. Settings come
// as JSON on standard input; ends with «all N checks» and status 0 when all went well.
"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");

const env = JSON.parse(fs.readFileSync(0, "utf8"));
const { ImapFlow } = require(path.join(env.module, "node_modules", "imapflow"));
const checks = { n: 0 };

function same(got, want, what) {
	checks.n++;
	assert.deepEqual(got, want, what);
}

function yes(value, what) {
	checks.n++;
	assert.ok(value, what);
}

// The event whose data satisfies test, or an error naming it.
function event(client, name, test) {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() => reject(new Error("waited in vain for " + name)), env.patience * 1000);
		client.on(name, function listener(data) {
			if (!test(data))
				return;
			clearTimeout(timer);
			client.off(name, listener);
			resolve(data);
		});
	});
}

async function connect(more) {
	const client = new ImapFlow(Object.assign({
		host: "127.0.0.1", logger: false, disableAutoIdle: true,
		auth: { user: env.user, pass: env.password },
		tls: { ca: fs.readFileSync(env.ca), servername: "localhost" },
	}, more));
	// What is said outside a command; a test that needs the connection fails by itself.
	client.on("error", (e) => console.error("error event: " + e.message));
	await client.connect();
	return client;
}

const MIXED = [
	"From: =?utf-8?Q?Andr=C3=A9?= <andre@x.test>", "To: Bob <bob@example.test>, c@x.test",
	"Message-ID: <mixed@x.test>", "In-Reply-To: <before@x.test>", "Date: Mon, 2 Mar 2026 10:00:00 +0100",
	"Subject: =?utf-8?B?R3LDvMOfZQ==?=", "MIME-Version: 1.0",
	"Content-Type: multipart/mixed; boundary=b1", "", "--b1", "Content-Type: multipart/alternative; boundary=b2", "",
	"--b2", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable", "", "Gr=C3=BC=C3=9Fe",
	"--b2", "Content-Type: text/html", "", "<b>hello</b>", "--b2--",
	"--b1", "Content-Type: application/octet-stream; name=a.bin", "Content-Transfer-Encoding: base64",
	"Content-Disposition: attachment; filename=a.bin", "", "AAECAwQF", "--b1--", "",
].join("\r\n");

async function text(stream) {
	const all = [];
	for await (const piece of stream)
		all.push(piece);
	return Buffer.concat(all);
}

async function folders(client) {
	const made = await client.mailboxCreate(["flow", "Entw\u00fcrfe \u65e5\u672c"]);
	same(made.created, true);
	same((await client.mailboxCreate("flow2")).created, true);
	same((await client.mailboxCreate("flow2")).created, false, "made twice");
	same((await client.mailboxRename("flow2", "flow3")).newPath, "flow3");
	same(await client.mailboxSubscribe("flow3"), true);
	let list = await client.list({ statusQuery: { messages: true, uidNext: true, uidValidity: true } });
	const names = list.map((m) => m.path);
	yes(names.includes("INBOX") && names.includes("flow") && names.includes("flow3") && names.includes(made.path), names.join());
	yes(!names.includes("flow2"));
	yes(list.find((m) => m.path === "flow3").subscribed);
	same(list.find((m) => m.path === made.path).name, "Entw\u00fcrfe \u65e5\u672c");
	same(list.find((m) => m.path === "flow3").status.messages, 0);
	same(await client.mailboxUnsubscribe("flow3"), true);
	await client.mailboxDelete(made.path);
	await client.mailboxDelete("flow3");
	list = await client.list();
	yes(!list.some((m) => m.path === "flow3" || m.path === made.path));
}

async function read(client) {
	const date = new Date("2026-03-01T12:00:00Z");
	const added = await client.append("flow", MIXED, ["\\Seen", "$Label1"], date);
	same([added.destination, added.uid], ["flow", 1]);
	for (const word of ["two", "three", "four"])
		await client.append("flow", `From: a@x.test\r\nMessage-ID: <${word}@x.test>\r\nSubject: ${word}\r\n\r\nthe ${word} body\r\n`);
	const status = await client.status("flow", { messages: true, uidNext: true, unseen: true, highestModseq: true, uidValidity: true });
	same([status.messages, status.uidNext, status.unseen, status.uidValidity], [4, 5, 3, added.uidValidity]);
	yes(status.highestModseq > 0n);
	await assert.rejects(client.mailboxOpen("not there"), (e) => { checks.n++; return e.mailboxMissing === true; });
	const lock = await client.getMailboxLock("flow");
	try {
		same([client.mailbox.exists, client.mailbox.uidNext, client.mailbox.readOnly], [4, 5, false]);
		yes(client.mailbox.permanentFlags.has("\\*"));
		const m = await client.fetchOne("1", { uid: true, flags: true, envelope: true, bodyStructure: true, internalDate: true,
			size: true, source: true, threadId: true, headers: ["subject"], bodyParts: ["1.1", "2"] });
		same(m.uid, 1);
		same([...m.flags].filter((f) => f !== "\\Recent").sort(), ["$Label1", "\\Seen"]);
		same(m.envelope.subject, "Gr\u00fc\u00dfe");
		same(m.envelope.from, [{ name: "Andr\u00e9", address: "andre@x.test" }]);
		same(m.envelope.to, [{ name: "Bob", address: "bob@example.test" }, { name: "", address: "c@x.test" }]);
		same([m.envelope.messageId, m.envelope.inReplyTo], ["<mixed@x.test>", "<before@x.test>"]);
		same(m.envelope.date.toISOString(), "2026-03-02T09:00:00.000Z");
		same(new Date(m.internalDate).getTime(), date.getTime());
		same([m.size, m.source.toString()], [MIXED.length, MIXED]);
		yes(m.emailId && m.threadId, "OBJECTID");
		same(m.headers.toString(), "Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n\r\n");
		const top = m.bodyStructure;
		same([top.type, top.parameters.boundary, top.childNodes.map((n) => n.type)],
		    ["multipart/mixed", "b1", ["multipart/alternative", "application/octet-stream"]]);
		same(top.childNodes[0].childNodes.map((n) => [n.part, n.type, n.size, n.lineCount]),
		    [["1.1", "text/plain", 15, 0], ["1.2", "text/html", 12, 0]]);
		same([top.childNodes[1].disposition, top.childNodes[1].dispositionParameters.filename], ["attachment", "a.bin"]);
		same([m.bodyParts.get("1.1").toString(), m.bodyParts.get("2").toString()], ["Gr=C3=BC=C3=9Fe", "AAECAwQF"]);
		const part = await client.download("1", "1.1");
		same((await text(part.content)).toString(), "Gr\u00fc\u00dfe");
		same([...await text((await client.download("1", "2")).content)], [0, 1, 2, 3, 4, 5]);
		const seen = [];
		for await (const each of client.fetch("1:*", { envelope: true, flags: true }))
			seen.push([each.seq, each.envelope.messageId]);
		same(seen, [[1, "<mixed@x.test>"], [2, "<two@x.test>"], [3, "<three@x.test>"], [4, "<four@x.test>"]]);
	} finally {
		lock.release();
	}
}

async function change(client) {
	const lock = await client.getMailboxLock("flow");
	try {
		same(await client.search({ seen: false }, { uid: true }), [2, 3, 4]);
		same(await client.search({ subject: "three" }, { uid: true }), [3]);
		same(await client.search({ body: "four body" }, { uid: true }), [4]);
		same(await client.search({ subject: "Gr\u00fc\u00dfe" }, { uid: true }), [1]);
		same(await client.search({ or: [{ subject: "two" }, { keyword: "$Label1" }] }, { uid: true }), [1, 2]);
		same(await client.search({ header: { "message-id": "<two@x.test>" }, since: new Date("2026-01-01") }, { uid: true }), [2]);
		same(await client.search({ subject: "none such" }), []);
		same(await client.messageFlagsAdd("2", ["\\Flagged", "$Work"], { uid: true }), true);
		same(await client.messageFlagsRemove("1", ["$Label1"], { uid: true }), true);
		same(await client.messageFlagsSet("3", ["\\Answered"], { uid: true }), true);
		const flags = {};
		for await (const m of client.fetch("1:3", { flags: true, uid: true }, { uid: true }))
			flags[m.uid] = [...m.flags].filter((f) => f !== "\\Recent").sort();
		same(flags, { 1: ["\\Seen"], 2: ["$Work", "\\Flagged"], 3: ["\\Answered"] });
		// A store that somebody else was before at: it is not done.
		const before = (await client.fetchOne("4", { flags: true }, { uid: true })).modseq;
		yes(before > 0n);
		const others = (await client.fetchOne("3", { flags: true }, { uid: true })).modseq;
		yes(others > before);
		await client.messageFlagsAdd("4", ["$First"], { uid: true });
		await client.messageFlagsAdd("4", ["$Second"], { uid: true, unchangedSince: before });
		const now = await client.fetchOne("4", { flags: true }, { uid: true });
		yes(now.flags.has("$First") && !now.flags.has("$Second"));
		yes(now.modseq > before);
		const changed = await client.fetchAll("1:*", { uid: true, flags: true }, { uid: true, changedSince: others });
		same(changed.map((m) => m.uid), [4]);
		await client.mailboxCreate("flow away");
		const copied = await client.messageCopy("1:2", "flow away", { uid: true });
		same([...copied.uidMap], [[1, 1], [2, 2]]);
		const moved = await client.messageMove("3", "flow away", { uid: true });
		same([...moved.uidMap], [[3, 3]]);
		same(await client.search({ all: true }, { uid: true }), [1, 2, 4]);
		same(await client.messageDelete("2", { uid: true }), true);
		same(await client.search({ all: true }, { uid: true }), [1, 4]);
		same((await client.status("flow away", { messages: true })).messages, 3);
	} finally {
		lock.release();
	}
}

// One connection in IDLE, the other changes: each change is told.
async function told(client, other) {
	await client.mailboxOpen("flow");
	await other.mailboxOpen("flow");
	const idle = client.idle();
	const more = event(client, "exists", (d) => d.path === "flow" && d.count === 3 && d.prevCount === 2);
	const appended = await other.append("flow", "Subject: news\r\n\r\nnews\r\n");
	await more;
	const flagged = event(client, "flags", (d) => d.flags.has("\\Flagged") && d.seq === 3);
	await other.messageFlagsAdd(appended.uid, ["\\Flagged"], { uid: true });
	await flagged;
	const less = event(client, "expunge", (d) => d.path === "flow" && (d.uid === appended.uid || d.seq === 3));
	await other.messageDelete(appended.uid, { uid: true });
	await less;
	checks.n += 3;
	await client.noop();	// ends the IDLE
	await idle;
	await other.mailboxClose();
	same(client.mailbox.exists, 2);
}

// A delivery from outside: the harness sends when it reads the line.
async function delivered(client) {
	// A number of its own: imapflow counts on in the object that it returned.
	const before = (await client.mailboxOpen("INBOX")).exists;
	const idle = client.idle();
	const notice = event(client, "exists", (d) => d.path === "INBOX" && d.count === before + 1);
	console.log("idle");
	same((await notice).prevCount, before);
	await client.noop();
	await idle;
	const last = await client.fetchOne("*", { envelope: true });
	same(last.envelope.subject, "for imapflow");
}

// Away for a while: what has changed and gone is told at the opening.
async function resync(other) {
	let client = await connect({ port: env.plain, secure: false, doSTARTTLS: false, qresync: true });
	yes(client.enabled.has("QRESYNC"));
	const known = await client.mailboxOpen("flow");
	yes(!known.noModseq && known.highestModseq > 0n);
	await client.logout();
	await other.mailboxOpen("flow");
	await other.messageFlagsAdd("1", ["$Later"], { uid: true });
	await other.messageDelete("4", { uid: true });
	await other.append("flow", "Subject: later\r\n\r\nlater\r\n");
	await other.mailboxClose();
	client = await connect({ port: env.plain, secure: false, doSTARTTLS: false, qresync: true });
	const gone = [], flags = {};
	client.on("expunge", (d) => gone.push([d.uid, d.vanished, d.earlier]));
	client.on("flags", (d) => { flags[d.uid] = d.flags.has("$Later"); });
	const box = await client.mailboxOpen("flow", { changedSince: known.highestModseq, uidValidity: known.uidValidity });
	same([box.qresync, box.exists], [true, 2]);
	same(gone, [[4, true, true]]);
	yes(flags[1] === true, JSON.stringify(flags));
	// A UIDVALIDITY of another mailbox: nothing of it is believed.
	await client.mailboxClose();
	gone.length = 0;
	const strange = await client.mailboxOpen("flow", { changedSince: 1n, uidValidity: known.uidValidity + 1n });
	same([strange.qresync, gone], [false, []]);
	await client.logout();
}

async function main() {
	const ways = {
		tls: { port: env.tls, secure: true },
		starttls: { port: env.plain, secure: false, doSTARTTLS: true },
		plain: { port: env.plain, secure: false, doSTARTTLS: false },
	};
	const clients = {};
	for (const way of Object.keys(ways)) {
		clients[way] = await connect(ways[way]);
		same([clients[way].secureConnection, !!clients[way].authenticated], [way !== "plain", true]);
		yes(clients[way].serverInfo && clients[way].serverInfo.name, "ID");
		yes(clients[way].namespace.delimiter);
	}
	await assert.rejects(connect({ port: env.tls, secure: true, auth: { user: env.user, pass: "wrong" } }),
	    (e) => { checks.n++; return e.authenticationFailed === true; });
	const quota = await clients.tls.getQuota("INBOX");
	yes(quota && quota.path === "INBOX", "QUOTA");
	await folders(clients.tls);
	await read(clients.tls);
	await change(clients.starttls);
	await told(clients.tls, clients.plain);
	await delivered(clients.starttls);
	await resync(clients.plain);
	await clients.plain.mailboxDelete("flow away");
	for (const client of Object.values(clients)) {
		await client.logout();
		same(client.usable, false);
	}
	console.log(`all ${checks.n} checks`);
}

main().catch((e) => {
	console.log(e.stack, e.responseText || "", e.response ? JSON.stringify(e.response).slice(0, 500) : "");
	process.exit(1);
});
