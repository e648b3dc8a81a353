// SPDX-License-Identifier: ISC
// Inside Thunderbird: each function is one thing that somebody does with it, and answers when it
// is done. thunderbird.py runs them by name; what goes over the wire is Thunderbird's own.
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const { Offline, Replied, Forwarded } = Ci.nsMsgMessageFlags;

const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");

async function until(test, what) {
	const end = Date.now() + patience * 1000;
	for (;;) {
		const value = await test();
		if (value)
			return value;
		if (Date.now() > end)
			throw new Error("waited in vain: " + (what instanceof Function ? what() : what));
		await new Promise((go) => setTimeout(go, 20));
	}
}

// Asks again for what a folder refuses while it fetches messages of its own accord.
async function busy(ask) {
	let why;
	await until(() => {
		try {
			ask();
			return true;
		} catch (e) {
			why = e;
			return false;
		}
	}, () => "an end of " + why);
}

const main = () => Services.wm.getMostRecentWindow("mail:3pane");
const win = await until(() => main()?.document.readyState === "complete" && main().msgWindow && main(), "the main window");
const msgWindow = win.msgWindow;
const server = MailServices.accounts.defaultAccount.incomingServer.QueryInterface(Ci.nsIImapIncomingServer);
const root = server.rootFolder.QueryInterface(Ci.nsIMsgImapMailFolder);

// As the import of an authority, and the box "remember the password", do.
async function trustAndRemember(certificate, user, password) {
	Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).addCertFromBase64(certificate, "C,,");
	for (const at of ["imap://localhost", "smtp://localhost"]) {
		const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
		login.init(at, null, at, user, password, "", "");
		await Services.logins.addLoginAsync(login);
	}
}

// ---- folders ----

function find(path) {
	let f = root;
	for (const name of path.split("/")) {
		f = f.subFolders.find((x) => x.name === name);
		if (!f)
			return null;
	}
	return f.QueryInterface(Ci.nsIMsgImapMailFolder);
}

const folder = (path) => until(() => find(path), "folder " + path);

// As the click on a folder does: opened and brought up to date. A folder has one listener only, and what
// it does of its own accord may take ours away; then the click is done again.
async function open(path) {
	const f = await folder(path);
	let code, again = 0;
	await until(() => {
		if (Date.now() >= again) {
			again = Date.now() + 2000;
			f.updateFolderWithListener(msgWindow, {
				OnStartRunningUrl() {}, OnStopRunningUrl(url, status) { code = status; },
				QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
			});
		}
		return code !== undefined;
	}, "opening " + path);
	if (code)
		throw new Error(`opening ${path}: ${code.toString(16)}`);
}

// The names of all folders, as the server knows them, and what Thunderbird takes them for.
function folders() {
	const { SentMail, Drafts, Trash, Junk, Archive } = Ci.nsMsgFolderFlags;
	const uses = Object.entries({ SentMail, Drafts, Trash, Junk, Archive });
	return Object.fromEntries(root.descendants.map((f) =>
		[f.QueryInterface(Ci.nsIMsgImapMailFolder).onlineName, uses.filter(([, bit]) => f.flags & bit).map(([name]) => name)]));
}

async function awaitFolder(path) {
	await folder(path);
}

async function awaitNoFolder(path) {
	await until(() => !find(path), "no folder " + path);
}

async function makeFolder(path) {
	const at = path.lastIndexOf("/");
	(at < 0 ? root : await folder(path.slice(0, at))).createSubfolder(path.slice(at + 1), msgWindow);
	await folder(path);
}

async function renameFolder(path, name) {
	(await folder(path)).rename(name, msgWindow);
	await folder(path.slice(0, path.lastIndexOf("/") + 1) + name);
	await awaitNoFolder(path);
}

async function moveFolder(path, into) {
	MailServices.copy.copyFolder(await folder(path), await folder(into), true, null, msgWindow);
	await folder(into + "/" + path.split("/").pop());
	await awaitNoFolder(path);
}

async function emptyTrash() {
	const trash = await folder("Trash");
	trash.emptyTrash(null);
	await until(() => trash.getTotalMessages(false) === 0 && !trash.hasSubFolders, "an empty trash");
}

// As "get messages" does for the account: all folders are asked for anew.
function discover() {
	server.QueryInterface(Ci.nsIMsgIncomingServer).performExpand(msgWindow);
}

// By the subscribe dialogue's own means: asked for, chosen from the list, and taken.
async function subscribe(path) {
	const all = server.QueryInterface(Ci.nsISubscribableServer);
	await new Promise((done) => {
		all.subscribeListener = {
			OnItemPopulated() {}, OnDonePopulating: done, QueryInterface: ChromeUtils.generateQI(["nsISubscribeListener"]),
		};
		all.startPopulating(msgWindow, true, false);
	});
	if (!all.isSubscribable(path) || all.isSubscribed(path))
		throw new Error(path + " cannot be subscribed");
	all.setState(path, true);
	all.subscribe(path);
	all.commitSubscribeChanges();
	all.subscribeCleanup();
	await folder(path);
}

// ---- messages ----

const header = (f, subject) => [...f.messages].find((m) => m.mime2DecodedSubject === subject);
const message = (f, subject) => until(() => header(f, subject), `${subject} in ${f.name}`);

// Until exactly these subjects are there; looking again now and then.
async function showsMessages(path, subjects) {
	let again = 0;
	await awaitMessages(path, subjects, async () => {
		if (Date.now() >= again) {
			await open(path);
			again = Date.now() + 2000;
		}
	});
}

// The same without looking.
async function awaitMessages(path, subjects, look = () => {}) {
	const f = await folder(path);
	const wanted = JSON.stringify(subjects.sort());
	const here = () => JSON.stringify([...f.messages].map((m) => m.mime2DecodedSubject).sort());
	await until(async () => { await look(); return here() === wanted; }, () => `${wanted} in ${path}; there is ${here()}`);
}

async function awaitFlags(path, subject, wanted) {
	const m = await message(await folder(path), subject);
	const now = () => ({
		read: m.isRead, flagged: m.isFlagged, answered: Boolean(m.flags & Replied), forwarded: Boolean(m.flags & Forwarded),
		keywords: m.getStringProperty("keywords").split(" ").filter((k) => k && k !== "nonjunk").sort(),
	});
	const as = () => Object.entries(wanted).every(([k, v]) => JSON.stringify(now()[k]) === JSON.stringify(v));
	await until(as, () => `${subject} as ${JSON.stringify(wanted)}; it is ${JSON.stringify(now())}`);
}

async function mark(path, subject, { read, flagged, tags, untag }) {
	const f = await folder(path);
	const m = await message(f, subject);
	if (read !== undefined)
		f.markMessagesRead([m], read);
	if (flagged !== undefined)
		f.markMessagesFlagged([m], flagged);
	if (tags)
		f.addKeywordsToMessages([m], tags);
	if (untag)
		f.removeKeywordsFromMessages([m], untag);
}

async function transfer(from, subject, to, move) {
	const f = await folder(from);
	const target = await folder(to);
	MailServices.copy.copyMessages(f, [await message(f, subject)], target, move, null, msgWindow, false);
	if (move)
		await until(() => !header(f, subject), subject + " gone from " + from);
	if (!Services.io.offline)
		await until(async () => { await open(to); return header(target, subject); }, `${subject} in ${to}`);
}

// To the trash, or for ever.
async function remove(path, subject, forever) {
	const f = await folder(path);
	f.deleteMessages([await message(f, subject)], msgWindow, forever, false, null, false);
	await until(() => !header(f, subject), subject + " gone from " + path);
}

async function compact(path) {
	const f = await folder(path);
	await busy(() => f.compact(null, null));
}

// In a tab, as by a double click: what is drawn of it, and its attachments.
async function read(path, subject) {
	const f = await folder(path);
	const m = await message(f, subject);
	const tabs = win.document.getElementById("tabmail");
	const tab = tabs.openTab("mailMessageTab", { messageURI: f.getUriForMsg(m) });
	const drawn = () => tab.chromeBrowser.contentWindow;
	const text = () => tab.browser.contentDocument?.querySelector(".moz-text-plain, .moz-text-flowed")?.textContent.trim();
	await until(() => drawn()?.msgLoaded && text(), subject + " in a tab");
	const what = { text: text(), attachments: drawn().currentAttachments.map((a) => [a.name, a.contentType]) };
	tabs.closeTab(tab);
	return what;
}

// On the server: all of the terms, each [where, word].
async function search(path, terms) {
	const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
	session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, await folder(path));
	for (const [where, word] of terms) {
		const term = session.createTerm();
		const value = term.value;
		term.attrib = value.attrib = Ci.nsMsgSearchAttrib[where];
		value.str = word;
		term.value = value;
		term.op = Ci.nsMsgSearchOp.Contains;
		term.booleanAnd = true;
		session.appendTerm(term);
	}
	const hits = [];
	await new Promise((done) => {
		session.registerListener({
			onSearchHit(m) { hits.push(m.mime2DecodedSubject); }, onSearchDone: done, onNewSearch() {},
			QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]),
		});
		session.search(msgWindow);
	});
	return hits.sort();
}

// ---- without the server ----

async function download(path) {
	const f = await folder(path);
	await busy(() => f.downloadAllForOffline(null, null));
	await until(() => [...f.messages].every((m) => m.flags & Offline), "all bodies of " + path);
}

async function goOffline() {
	win.MailOfflineMgr.toggleOfflineStatus();
	await until(() => Services.io.offline, "being offline");
}

// What was done meanwhile is done on the server.
function goOnline() {
	win.MailOfflineMgr.toggleOfflineStatus();
}

// ---- writing ----

const composer = () => Services.wm.getMostRecentWindow("msgcompose");

// Opens a window to write in, with what is given; or the answer to `answering` (folder, subject), once it
// quotes `shows`. send() and saveDraft() are its buttons.
async function compose({ answering, shows, ...given }) {
	const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
	const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
	const { New, ReplyToSender } = Ci.nsIMsgCompType;
	Object.assign(params, {
		composeFields: Object.assign(fields, given), type: answering ? ReplyToSender : New,
		format: Ci.nsIMsgCompFormat.PlainText, identity: MailServices.accounts.defaultAccount.defaultIdentity,
	});
	if (answering) {
		const f = await folder(answering[0]);
		params.origMsgHdr = await message(f, answering[1]);
		params.originalMsgURI = f.getUriForMsg(params.origMsgHdr);
	}
	MailServices.compose.OpenComposeWindowWithParams(null, params);
	const as = (w) => w?.document.readyState === "complete" && w.gMsgCompose?.editor && !w.gWindowLocked &&
		w.document.getElementById("msgSubject").value && w.defaultController.isCommandEnabled("cmd_sendNow") &&
		w.getBrowser().contentDocument.body.textContent.includes(shows);
	await until(() => as(composer()), () => "the composer, which shows " +
		composer()?.getBrowser()?.contentDocument.body?.textContent);
}

async function saveDraft() {
	const w = composer();
	const saved = new Promise((go) => w.addEventListener("aftersave", go, { once: true }));
	w.goDoCommand("cmd_saveAsDraft");
	await saved;
	await until(() => !w.gSaveOperationInProgress && !w.gWindowLocked, "the draft");
}

// By the way that PORT and SOCKETTYPE say; it ends when the copy is in its folder.
async function send(port, socketType) {
	const smtp = MailServices.outgoingServer.defaultServer.QueryInterface(Ci.nsISmtpServer);
	smtp.port = port;
	smtp.socketType = socketType;
	composer().goDoCommand("cmd_sendNow");
	await until(() => !composer(), () => "the end of sending; " + composer().document.getElementById("statusText").textContent);
}
