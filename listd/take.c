/* SPDX-License-Identifier: ISC */
/* Hand-overs; see take.h. */
#include "listd/take.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/compat/compat.h"
#include "common/daemon.h"
#include "common/file.h"
#include "common/log.h"
#include "listd/content.h"
#include "listd/decide.h"
#include "listd/held.h"
#include "listd/letter.h"
#include "listd/often.h"

#define ASK_TIMEOUT_MS 30000
#define WORDS_MAX 2000
#define REASON_MAX 1000

struct take {
	uint64_t channel, id;
	struct msg_list_take m; /* prefix is ours */
	char detail[321];       /* behind the plus sign of the part */
	int fd;
	char *buf; /* the message's beginning */
	size_t len;
	char list[ADDRESS_MAX + 1]; /* printed */
	struct post_facts facts;
	struct listconf conf;
	char arg[321]; /* of a command */
	enum command command;
	/* What is posted: this message, or one that was held. */
	uint64_t offset; /* of the message in fd */
	uint64_t size;
	struct held held;
};

struct take_stats take_stats;

static void
take_free(struct take *t)
{
	take_stats.running--;
	if (t->fd != -1)
		close(t->fd);
	free((void *)(uintptr_t)t->m.prefix);
	free(t->buf);
	free(t);
}

/* The end of it. */
static void
answer(struct take *t, enum job_status status, const char *enhanced, const char *text)
{
	struct channel *ch = channel_find(t->channel);
	struct msg_list_taken r = { .status = (uint8_t)status };

	strlcpy(r.enhanced, enhanced, sizeof(r.enhanced));
	strlcpy(r.text, text, sizeof(r.text));
	if (ch != NULL)
		(void)channel_send(ch, MSG_LISTD_LDELIVER_TAKEN, t->id, &r, -1);
	take_free(t);
}

static void
later(struct take *t, const char *why)
{
	answer(t, JOB_DEFERRED, "4.3.0", why);
}

static void
say(const struct take *t, const char *event, const char *author, const char *why)
{
	log_fact(LOG_DELIVERY, LOGL_INFO, event, KS("qid", t->m.qid),
	    KS("list", t->m.list), KS("from", author), KS("subject", t->facts.subject),
	    KS("why", why));
}

/* ---- what is sent ---- */

/* Takes fd; size octets of it. 0 or -1. */
static int
send_outlet(struct take *t, enum outlet_kind kind, const char *to, int fd, uint64_t size)
{
	struct channel *ch = channel_find(t->channel);
	struct msg_outlet o = { .kind = (uint8_t)kind, .size = size };

	strlcpy(o.address, to, sizeof(o.address));
	if (ch == NULL) {
		close(fd);
		return -1;
	}
	return channel_send(ch, MSG_LISTD_LDELIVER_OUTLET, t->id, &o, fd);
}

/* A letter to somebody; the text is freed. */
static int
send_letter(struct take *t, const char *to, struct text *text)
{
	int fd = text->bad || to[0] == '\0' ? -1 : held_temp(), rv = -1;

	if (fd != -1 && file_write_at(fd, text->p, text->len, 0) == 0)
		rv = send_outlet(t, OUTLET_NOTICE, to, fd, text->len);
	else if (fd != -1)
		close(fd);
	free(text->p);
	memset(text, 0, sizeof(*text));
	return rv;
}

/* An answer to who may not have asked: not without end. */
static int
send_answer(struct take *t, const char *to, struct text *text)
{
	if (to[0] != '\0' && !often_answered(to, now_ms()))
		return send_letter(t, to, text);
	if (to[0] != '\0')
		say(t, "list-dropped", to, "answered often enough for a day");
	free(text->p);
	memset(text, 0, sizeof(*text));
	return 0;
}

static struct letter
letter_to(const struct take *t, const char *to)
{
	struct letter l = { .list = t->list,
		.to = to,
		.queue_id = t->m.queue_id,
		.rcpt = t->m.rcpt,
		.now = wall_s(),
		.in_reply_to = t->facts.message_id };

	return l;
}

/* The message at offset in fd, whose beginning is buf, goes to the members. */
static void
post(struct take *t, const char *prefix, size_t prefix_len, const char *author)
{
	static char slice[65536];
	struct text head = { 0 };
	uint64_t at = t->offset + t->facts.header_len, end = t->offset + t->size, to;
	int fd;

	post_header(&head, prefix, prefix_len, t->buf, &t->facts, t->list, &t->conf);
	fd = head.bad ? -1 : held_temp();
	if (fd == -1 || file_write_at(fd, head.p, head.len, 0) == -1)
		goto fail;
	for (to = head.len; at < end;) {
		size_t want =
		    end - at < sizeof(slice) ? (size_t)(end - at) : sizeof(slice);
		ssize_t n = pread(t->fd, slice, want, (off_t)at);

		if (n == -1 && errno == EINTR)
			continue;
		if (n > 0 && memchr(slice, '\0', (size_t)n) != NULL)
			goto binary;
		if (n <= 0 || file_write_at(fd, slice, (size_t)n, to) == -1)
			goto fail;
		at += (uint64_t)n;
		to += (uint64_t)n;
	}
	free(head.p);
	if (send_outlet(t, OUTLET_POST, t->list, fd, to) == -1) {
		later(t, "the post cannot be handed on now");
		return;
	}
	take_stats.posted++;
	say(t, "list-posted", author, "");
	answer(t, JOB_DELIVERED, "2.0.0", "posted to the list");
	return;
binary:
	/* Of BINARYMIME (RFC 3030), which is not what the members are sent. */
	free(head.p);
	close(fd);
	take_stats.rejected++;
	say(t, "list-refused", author, "it is binary");
	answer(t, JOB_FAILED, "5.6.1", "lists take no binary messages");
	return;
fail:
	log_warn("a post to %s cannot be written", t->m.list);
	free(head.p);
	if (fd != -1)
		close(fd);
	later(t, "the post cannot be written now");
}

/* ---- a post ---- */

static void
hold(struct take *t, const char *why)
{
	char words[WORDS_MAX], owner[ADDRESS_MAX + 1], text[300];
	struct held h = {
		.time = wall_s(), .prefix_len = t->m.prefix_len, .size = t->m.size
	};
	struct text letter = { 0 };
	struct letter l;

	held_id(t->m.queue_id, t->m.rcpt, h.id);
	strlcpy(h.list, t->m.list, sizeof(h.list));
	strlcpy(h.author, t->facts.author, sizeof(h.author));
	strlcpy(h.sender, t->m.sender, sizeof(h.sender));
	strlcpy(h.subject, t->facts.subject, sizeof(h.subject));
	strlcpy(h.why, why, sizeof(h.why));
	if (held_put(&h, (const char *)t->m.prefix, t->fd) == -1) {
		log_warn("a post to %s cannot be held", t->m.list);
		later(t, errno == EDQUOT ? "too many posts are held here"
					 : "the post cannot be held now");
		return;
	}
	(void)content_words(t->buf, t->len, words, sizeof(words));
	if (listpost_plain(t->m.list, "owner", owner, sizeof(owner)) == -1)
		owner[0] = '\0';
	l = letter_to(t, owner);
	letter_held(&letter, &l, &h, words);
	if (send_letter(t, owner, &letter) == -1) {
		later(t, "the owners cannot be told now");
		return;
	}
	take_stats.held++;
	log_fact(LOG_DELIVERY, LOGL_INFO, "list-held", KS("qid", t->m.qid),
	    KS("list", t->m.list), KS("from", h.author), KS("id", h.id), KS("why", why));
	snprintf(text, sizeof(text), "held for the owners of the list: %s", why);
	answer(t, JOB_DELIVERED, "2.0.0", text);
}

/* authd's answer, as far as all need it: 0, or -1 and it is over. */
static int
take_settings(struct take *t, const struct msg *m)
{
	const struct msg_list_is *is =
	    m != NULL && m->type == MSG_AUTHD_LISTD_IS ? &m->p.list_is : NULL;

	if (is == NULL || (is->status != MSG_OK && is->status != MSG_UNKNOWN)) {
		later(t, "the directory of lists does not answer now");
		return -1;
	}
	if (is->status == MSG_UNKNOWN) {
		answer(t, JOB_FAILED, "5.1.1", "there is no such list any more");
		return -1;
	}
	if (listconf_parse(is->settings, &t->conf) == -1) {
		later(t, "the settings of the list cannot be read");
		return -1;
	}
	post_read(t->buf, t->len, t->list, &t->conf, &t->facts);
	return 0;
}

static void
on_post(struct msg *m, void *arg)
{
	struct take *t = arg;
	struct verdict_of_list v;
	char text[300];

	if (take_settings(t, m) == -1)
		return;
	decide(&t->conf, m->p.list_is.standing, &t->facts, t->m.sender, t->m.junk,
	    t->m.size, &v);
	switch (v.what) {
	case DECIDE_POST:
		post(t, (const char *)t->m.prefix, t->m.prefix_len, t->facts.author);
		return;
	case DECIDE_HOLD:
		hold(t, v.why);
		return;
	case DECIDE_REJECT:
		take_stats.rejected++;
		say(t, "list-refused", t->facts.author, v.why);
		answer(t, JOB_FAILED, v.enhanced, v.why);
		return;
	case DECIDE_DROP:
		take_stats.dropped++;
		say(t, "list-dropped", t->facts.author, v.why);
		snprintf(text, sizeof(text), "not posted: %s", v.why);
		answer(t, JOB_DELIVERED, "2.0.0", text);
		return;
	}
}

/* ---- one that was held ---- */

/* The first octets of the message at offset become buf. 0 or -1. */
static int
read_beginning(struct take *t)
{
	size_t want = t->size < POST_HEADER_MAX ? (size_t)t->size : POST_HEADER_MAX;

	free(t->buf);
	t->len = 0;
	if ((t->buf = malloc(want + 1)) == NULL ||
	    file_read_at(t->fd, t->buf, want, t->offset) == -1)
		return -1;
	t->len = want;
	return 0;
}

/* Buf is the message's in the file; the prefix is before it. 0 or -1. */
static int
open_held(struct take *t, char prefix[8192])
{
	t->offset = t->held.offset + t->held.prefix_len;
	t->size = t->held.size;
	if (file_read_at(t->fd, prefix, (size_t)t->held.prefix_len, t->held.offset) == -1)
		return -1;
	return read_beginning(t);
}

static void
on_approve(struct msg *m, void *arg)
{
	static char prefix[8192];
	struct take *t = arg;

	if (open_held(t, prefix) == -1) {
		later(t, "the held post cannot be read now");
		return;
	}
	if (take_settings(t, m) == 0)
		post(t, prefix, (size_t)t->held.prefix_len, t->held.author);
}

static void
no_such_post(struct take *t)
{
	struct text letter = { 0 };
	struct letter l = letter_to(t, t->facts.author);

	if (t->m.sender[0] != '\0' && t->facts.author[0] != '\0') {
		letter_done(&letter, &l,
		    "There is no such post: somebody else has seen to it, or it was too "
		    "old.");
		(void)send_answer(t, t->facts.author, &letter);
	}
	answer(t, JOB_DELIVERED, "2.0.0", "there is no such held post (any more)");
}

/* The held post becomes this delivery's. 1; 0: there is none; -1: it is over. */
static int
take_held(struct take *t)
{
	int fd = held_take(t->detail, t->m.list, t->m.queue_id, t->m.rcpt, &t->held);

	if (fd == -1 && errno == ENOENT)
		return 0;
	if (fd == -1) {
		log_warn("held post %s of %s", t->detail, t->m.list);
		later(t, "the held post cannot be read now");
		return -1;
	}
	close(t->fd);
	t->fd = fd;
	return 1;
}

static void ask(struct take *, const char *author, channel_answer_cb);

static void
take_approve(struct take *t)
{
	int have = take_held(t);

	if (have == 0)
		no_such_post(t);
	else if (have == 1)
		ask(t, "", on_approve);
}

static void
take_reject(struct take *t)
{
	char reason[REASON_MAX];
	struct text letter = { 0 };
	struct letter l;
	int have;

	(void)content_words(t->buf, t->len, reason, sizeof(reason));
	if ((have = take_held(t)) == 0)
		no_such_post(t);
	if (have != 1)
		return;
	t->facts.message_id[0] = '\0';
	l = letter_to(t, t->held.author);
	letter_rejected(&letter, &l, &t->held, reason);
	if (send_letter(t, t->held.author, &letter) == -1) {
		later(t, "the author cannot be told now");
		return;
	}
	take_stats.rejected++;
	say(t, "list-rejected", t->held.author, reason);
	answer(t, JOB_DELIVERED, "2.0.0", "the held post is rejected");
}

static void
take_discard(struct take *t)
{
	if (held_discard(t->detail, t->m.list) == 0)
		say(t, "list-discarded", "", t->detail);
	answer(t, JOB_DELIVERED, "2.0.0", "the held post is removed");
}

/* ---- commands ---- */

static void
on_acted(struct msg *m, void *arg)
{
	struct take *t = arg;
	const struct msg_list_acted *a =
	    m != NULL && m->type == MSG_AUTHD_LISTD_ACTED ? &m->p.list_acted : NULL;
	const char *to;
	struct text letter = { 0 };
	struct letter l;

	if (a == NULL || a->status == MSG_TEMP) {
		later(t, "the directory of lists does not answer now");
		return;
	}
	if (a->status == MSG_UNKNOWN) {
		answer(t, JOB_FAILED, "5.1.1", "there is no such list any more");
		return;
	}
	to = a->address[0] != '\0' ? a->address : t->facts.author;
	l = letter_to(t, to);
	if (a->confirm[0] != '\0')
		letter_confirm(
		    &letter, &l, t->command == COMMAND_JOIN, a->address, a->confirm);
	else
		letter_done(&letter, &l, a->text);
	/* A token that is not right is answered to nobody but who is named by From. */
	if (send_answer(t, to, &letter) == -1) {
		later(t, "the answer cannot be sent now");
		return;
	}
	take_stats.commands++;
	answer(t, JOB_DELIVERED, "2.0.0", "the request is answered");
}

static void
act(struct take *t, enum list_verb verb, const char *token, channel_answer_cb cb,
    int hard, const char *words)
{
	struct channel *ch = daemon_peer(ROLE_AUTHD);
	struct msg_list_act a = { .verb = (uint8_t)verb, .hard = (uint8_t)hard };

	strlcpy(a.list, t->m.list, sizeof(a.list));
	strlcpy(a.address, t->facts.author, sizeof(a.address));
	strlcpy(a.token, token, sizeof(a.token));
	strlcpy(a.text, words, sizeof(a.text));
	if (ch == NULL ||
	    channel_ask(ch, MSG_LISTD_AUTHD_ACT, &a, -1, ASK_TIMEOUT_MS, cb, t) == 0)
		later(t, "the directory of lists is not there now");
}

static void
run_command(struct take *t)
{
	char *p = t->arg;

	switch (t->command) {
	case COMMAND_JOIN:
		act(t, LIST_ACT_JOIN, "", on_acted, 0, "");
		break;
	case COMMAND_LEAVE:
		act(t, LIST_ACT_LEAVE, "", on_acted, 0, "");
		break;
	case COMMAND_CONFIRM:
		/* The whole address, or what is behind its plus sign. */
		if (strstr(p, "-confirm+") != NULL)
			p = strstr(p, "-confirm+") + 9;
		p[strcspn(p, "@>")] = '\0';
		act(t, LIST_ACT_CONFIRM, p, on_acted, 0, "");
		break;
	default:
		break;
	}
}

static void
on_help(struct msg *m, void *arg)
{
	struct take *t = arg;
	struct text letter = { 0 };
	struct letter l;

	if (take_settings(t, m) == -1)
		return;
	l = letter_to(t, t->facts.author);
	letter_help(&letter, &l, &t->conf);
	if (send_answer(t, t->facts.author, &letter) == -1) {
		later(t, "the answer cannot be sent now");
		return;
	}
	take_stats.commands++;
	answer(t, JOB_DELIVERED, "2.0.0", "the request is answered");
}

/* RFC 3834, 2: what a program wrote is not answered. 1: it is over. */
static int
is_automatic(struct take *t, int with_token)
{
	if (!t->facts.auto_reply && !t->facts.report &&
	    (with_token || (t->m.sender[0] != '\0' && t->facts.author[0] != '\0')))
		return 0;
	take_stats.dropped++;
	say(t, "list-dropped", t->facts.author, "an automatic answer");
	answer(t, JOB_DELIVERED, "2.0.0", "an automatic answer, which is not answered");
	return 1;
}

static void
take_command(struct take *t, enum command command)
{
	int tag = t->detail[0] != '\0';

	if (is_automatic(t, tag && command != COMMAND_NONE))
		return;
	t->command = command;
	strlcpy(t->arg, t->detail, sizeof(t->arg));
	if (command == COMMAND_LEAVE && tag) {
		act(t, LIST_ACT_UNSUBSCRIBE, t->detail, on_acted, 0, "");
		return;
	}
	if (command == COMMAND_NONE)
		t->command = content_command(
		    t->buf, t->len, t->facts.subject, t->arg, sizeof(t->arg));
	if (t->command == COMMAND_NONE || t->command == COMMAND_HELP)
		ask(t, "", on_help);
	else
		run_command(t);
}

/* ---- bounces ---- */

static void
on_bounced(struct msg *m, void *arg)
{
	struct take *t = arg;
	const struct msg_list_acted *a =
	    m != NULL && m->type == MSG_AUTHD_LISTD_ACTED ? &m->p.list_acted : NULL;

	if (a == NULL || a->status == MSG_TEMP) {
		later(t, "the directory of lists does not answer now");
		return;
	}
	take_stats.bounces += a->status == MSG_OK;
	answer(t, JOB_DELIVERED, "2.0.0",
	    a->status == MSG_OK ? "a bounce, counted"
				: "a bounce of nothing that was sent");
}

static void
take_bounce(struct take *t)
{
	char why[256];
	enum bounce_kind kind;

	kind = t->detail[0] == '\0' || (t->m.sender[0] != '\0' && !t->facts.report)
		   ? BOUNCE_NONE
		   : content_bounce(t->buf, t->len, why, sizeof(why));
	if (kind == BOUNCE_NONE) {
		take_stats.dropped++;
		answer(t, JOB_DELIVERED, "2.0.0", "no bounce that counts");
		return;
	}
	act(t, LIST_ACT_BOUNCE, t->detail, on_bounced, kind == BOUNCE_HARD, why);
}

/* ---- the beginning ---- */

static void
ask(struct take *t, const char *author, channel_answer_cb cb)
{
	struct channel *ch = daemon_peer(ROLE_AUTHD);
	struct msg_list_ask q = { 0 };

	strlcpy(q.list, t->m.list, sizeof(q.list));
	strlcpy(q.author, author, sizeof(q.author));
	strlcpy(q.sender, t->m.sender, sizeof(q.sender));
	strlcpy(q.login, t->m.login, sizeof(q.login));
	if (ch == NULL ||
	    channel_ask(ch, MSG_LISTD_AUTHD_ASK, &q, -1, ASK_TIMEOUT_MS, cb, t) == 0)
		later(t, "the directory of lists is not there now");
}

static void
start_post(struct take *t)
{
	ask(t, t->facts.author, on_post);
}

static void
start_request(struct take *t)
{
	take_command(t, COMMAND_NONE);
}

static void
start_join(struct take *t)
{
	t->detail[0] = '\0';
	take_command(t, COMMAND_JOIN);
}

static void
start_leave(struct take *t)
{
	take_command(t, COMMAND_LEAVE);
}

static void
start_confirm(struct take *t)
{
	take_command(t, COMMAND_CONFIRM);
}

/* An answer of a program to our letter is no word of an owner. */
static void
start_held(struct take *t)
{
	if (is_automatic(t, 1))
		return;
	if (strncmp(t->m.part, "approve", 7) == 0)
		take_approve(t);
	else if (strncmp(t->m.part, "reject", 6) == 0)
		take_reject(t);
	else
		take_discard(t);
}

static const struct {
	const char *part;
	void (*run)(struct take *);
} parts[] = {
	{ "post", start_post },
	{ "request", start_request },
	{ "join", start_join },
	{ "leave", start_leave },
	{ "confirm", start_confirm },
	{ "bounces", take_bounce },
	{ "approve", start_held },
	{ "reject", start_held },
	{ "discard", start_held },
};

static struct take *
take_new(struct channel *ch, struct msg *m)
{
	struct take *t = calloc(1, sizeof(*t));
	uint8_t *prefix = NULL;

	if (t == NULL)
		return NULL;
	t->m = m->p.list_take;
	t->m.prefix = NULL;
	t->fd = msg_take_fd(m);
	t->size = t->m.size;
	t->channel = channel_serial(ch);
	t->id = m->id;
	take_stats.running++;
	if (t->m.prefix_len > 0) {
		if ((prefix = malloc(t->m.prefix_len)) == NULL) {
			take_free(t);
			return NULL;
		}
		memcpy(prefix, m->p.list_take.prefix, t->m.prefix_len);
		t->m.prefix = prefix;
	}
	return t;
}

void
take_start(struct channel *ch, struct msg *m)
{
	static uint64_t looked;
	struct msg_list_taken busy = { .status = JOB_DEFERRED };
	struct listconf none;
	struct take *t;
	size_t len;

	if (take_stats.running >= TAKES_MAX || (t = take_new(ch, m)) == NULL) {
		strlcpy(busy.text, "the mailing lists are busy", sizeof(busy.text));
		(void)channel_send(ch, MSG_LISTD_LDELIVER_TAKEN, m->id, &busy, -1);
		return;
	}
	if (now_ms() - looked > 1000) {
		looked = now_ms();
		held_forget(t->m.oldest_live);
	}
	len = strcspn(t->m.part, "+");
	if (t->m.part[len] == '+')
		strlcpy(t->detail, t->m.part + len + 1, sizeof(t->detail));
	if (listpost_plain(t->m.list, "", t->list, sizeof(t->list)) == -1) {
		answer(t, JOB_FAILED, "5.1.1", "there is no such list");
		return;
	}
	if (read_beginning(t) == -1) {
		later(t, "the message cannot be read now");
		return;
	}
	listconf_init(&none);
	post_read(t->buf, t->len, t->list, &none, &t->facts);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strlen(parts[i].part) == len &&
		    strncmp(parts[i].part, t->m.part, len) == 0) {
			parts[i].run(t);
			return;
		}
	answer(t, JOB_FAILED, "5.1.1", "the list has no such address");
}
