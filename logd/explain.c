/* SPDX-License-Identifier: ISC */
/*
 * Facts as sentences, by a table of events. In a sentence {a|b} is the value of
 * the first of these keys that the line has, {<a} is it as an address, {+a} a time as so
 * long after the line, and what stands in [] is left out when none of the keys in it is
 * there. Daemons differ a little in the names of keys, hence the alternatives.
 */
#include "logd/explain.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FROM "{<from|sender|mail_from}"
#define TO "{<to|rcpt|recipient|mailbox}"
#define WHERE "{host|mx|server|remote_host}"
#define CLIENT "{client|ip|peer|addr}"
#define WORDS "{text|reply|response|remote|reason|error|why}"

static const struct {
	const char *event;
	const char *sentence;
} table[] = {
	{ "received", "accepted a message[ from " FROM "][ for " TO "][, sent by " CLIENT
		      "][, {size} octets][, Message-ID {msgid|message_id}][: queue id "
		      "{qid}][ (" WORDS ")]" },
	{ "accepted", "accepted a message[ from " FROM "][ for " TO "][, sent by " CLIENT
		      "][, {size} octets][, Message-ID {msgid|message_id}][: queue id "
		      "{qid}][ (" WORDS ")]" },
	{ "queued", "queued the message[ {qid}][ from " FROM "][ for " TO
		    "][, {size} octets][: " WORDS "]" },
	{ "refused", "refused[ {what}][ " CLIENT "][ from " FROM "][ to " TO
		     "][, Message-ID {msgid}][ with {code}][ {enhanced}][: " WORDS "]" },
	{ "connection-refused",
	    "refused a connection[ from " CLIENT "][ with {code}][: " WORDS "]" },
	{ "connection-ended", "ended the connection[ from " CLIENT "][, sender " FROM
			      "][ with {code}][ {enhanced}][: " WORDS "]" },
	{ "rejected",
	    "rejected the message[ {qid}][ from " FROM "][ for " TO
	    "][, Message-ID {msgid}][, sent by " CLIENT
	    "][ with {code}][ {enhanced}][, judged by {judge|rule}][: " WORDS "]" },
	{ "delivered", "delivered[ {qid}][ to " TO "][ from " FROM "][ at " WHERE
		       "][ ({address})][: " WORDS "]" },
	{ "stored",
	    "put[ {qid}] into the mailbox[ of " TO "][ from " FROM "][: " WORDS "]" },
	{ "deferred", "could not deliver[ {qid}][ to " TO "][ at " WHERE
		      "] for now[, next try {+next} later][, next try in "
		      "{next_s|retry_s|wait_s} s][: " WORDS "]" },
	{ "failed", "failed to deliver[ {qid}][ to " TO "][ at " WHERE
		    "] for good[: " WORDS "]" },
	{ "bounced", "returned[ {qid}] to its sender[ " FROM
		     "] as not deliverable[ to " TO "][ (bounce "
		     "{bounce|bounce_qid|new_qid})][: " WORDS "]" },
	{ "bounce", "made a bounce[ {qid}][ for " TO
		    "][ about {of|about|parent|for_qid}][: " WORDS "]" },
	{ "delayed",
	    "told the sender[ " FROM "] that[ {qid}][ to " TO "] is late[: " WORDS "]" },
	{ "expired", "gave[ {qid}] up after its time[, recipient " TO "][: " WORDS "]" },
	{ "junk", "marked[ {qid}] as junk[ for " TO "][ from " FROM
		  "][, judged by {judge|rule}][: " WORDS "]" },
	{ "quarantined",
	    "put[ {qid}] aside[ from " FROM "][, judged by {judge|rule}][: " WORDS "]" },
	{ "verdict",
	    "judged[ {qid}][ from " FROM
	    "]: {action|verdict}[ with {code}][, by {judge|rule}][: " WORDS "]" },
	{ "virus", "found[ {signature|name}] in[ {qid}][ from " FROM "][: " WORDS "]" },
	{ "forwarded",
	    "forwarded[ {qid}][ from " FROM "][ to " TO "][ as {new_qid}][: " WORDS "]" },
	{ "expanded",
	    "replaced the recipient[ {address|of}] of[ {qid}] by[ " TO "][: " WORDS "]" },
	{ "posted", "sent the post of {qid} to the members[ of " TO "][ as {as}]" },
	{ "list-posted", "the list {<list}[ has {qid}][ from " FROM "] posted" },
	{ "list-held", "the list {<list} holds[ {qid}][ from " FROM
		       "] for its owners[ (id {id})][: " WORDS "]" },
	{ "list-refused",
	    "the list {<list} does not take[ {qid}][ from " FROM "][: " WORDS "]" },
	{ "list-rejected",
	    "an owner of the list {<list} rejected a post[ from " FROM "][: " WORDS "]" },
	{ "list-discarded",
	    "a held post of the list {<list}[ from " FROM "] was removed[: " WORDS "]" },
	{ "list-dropped",
	    "the list {<list} dropped[ {qid}][ from " FROM "][: " WORDS "]" },
	{ "list-joined", "{<member} became a member of the list {<list}[: " WORDS "]" },
	{ "list-left", "{<member} left the list {<list}[: " WORDS "]" },
	{ "list-bounced",
	    "a post of the list {<list} did not reach its member {<member}[: " WORDS
	    "]" },
	{ "list-suspended", "the list {<list} sends nothing more to its member "
			    "{<member}[: " WORDS "]" },
	{ "warned", "told the sender[ " TO "] that[ {qid}] is late[ (notice {notice})]" },
	{ "frozen", "keeps[ {qid}] back[ for " TO "][, {+until} at most,][ by rule "
		    "{rule}][ of {by}][: " WORDS "]" },
	{ "given-up", "gave[ {qid}] up[, on the word of an {by}]" },
	{ "priority", "gave[ {qid}] the priority[ {priority}]" },
	{ "host-failed", "tried[ {qid}] in vain[ at " WHERE "][: " WORDS "]" },
	{ "asked", "noted what the sender of[ {qid}] asks for" },
	{ "done", "finished with[ {qid}][: " WORDS "]" },
	{ "removed", "removed[ {qid}] from the queue[ (recipient " TO ")][: " WORDS "]" },
	{ "held", "holds[ {qid}] until it is released[: " WORDS "]" },
	{ "released", "released[ {qid}][: " WORDS "]" },
	{ "login", "login of[ {user|login|address}][ by {proto}][ from " CLIENT
		   "][: " WORDS "]" },
	{ "login-failed",
	    "refused a login[ of {user|login|address}][ by {proto}][ from " CLIENT
	    "][: " WORDS "]" },
	{ "logout", "logout of[ {user|login|address}][ by {proto}][ from " CLIENT "]" },
	{ "log-full",
	    "wrote no more lines of this kind on this day: the limit of {limit} octets" },
	{ "log-lost", "{count} lines before this one could not be written" },
	{ "log-dropped", "{count} lines of this process did not reach logd" },
};

#define KV_MAX 64

struct out {
	char *buf;
	size_t len;
	size_t cap;
};

struct fact {
	int64_t time; /* of the line, seconds since 1970 */
	struct line_kv kv[KV_MAX];
	size_t n;
	uint64_t used;
};

static void
put(struct out *o, const char *s, size_t len)
{
	if (len >= o->cap - o->len)
		len = o->cap - o->len - 1;
	memcpy(o->buf + o->len, s, len);
	o->len += len;
	o->buf[o->len] = '\0';
}

static void
put_value(struct out *o, const struct line_kv *kv)
{
	o->len += line_value(kv, o->buf + o->len, o->cap - o->len);
}

static void
put_address(struct out *o, const struct line_kv *kv)
{
	struct line_kv inner = *kv;

	if (inner.val_len >= 2 && inner.val[0] == '<' &&
	    inner.val[inner.val_len - 1] == '>') {
		inner.val++;
		inner.val_len -= 2;
	}
	if (inner.val_len == 0) {
		put(o, "the empty reverse-path", 22);
		return;
	}
	put(o, "<", 1);
	put_value(o, &inner);
	put(o, ">", 1);
}

/* "1h 4m": how long after time. */
static void
put_span(struct out *o, const struct line_kv *kv, int64_t time)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = { { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };
	char text[24], *end;
	int64_t left;
	int said = 0;

	line_value(kv, text, sizeof(text));
	left = strtoll(text, &end, 10);
	if (*end != '\0' || end == text || left < time || left > time + 1000 * 86400ll) {
		put_value(o, kv);
		return;
	}
	left -= time;
	for (size_t i = 0; i < 4 && said < 2; i++) {
		if (left < units[i].s && said == 0 && i < 3)
			continue;
		snprintf(text, sizeof(text), "%s%lld%c", said++ > 0 ? " " : "",
		    (long long)(left / units[i].s), units[i].unit);
		put(o, text, strlen(text));
		left %= units[i].s;
		if (left == 0)
			break;
	}
}

/* names: "a|b|c" up to end. Index of the value, or -1. An empty value says nothing, but
 * for an empty reverse-path. */
static int
find(const struct fact *f, const char *names, const char *end)
{
	while (names < end) {
		size_t len = strcspn(names, "|}");

		for (size_t i = 0; i < f->n; i++)
			if (f->kv[i].key_len == len &&
			    memcmp(f->kv[i].key, names, len) == 0 &&
			    (f->kv[i].val_len > 0 ||
				(len == 4 && memcmp(names, "from", 4) == 0)))
				return (int)i;
		names += len + 1;
	}
	return -1;
}

/* At a '{': writes the value, returns where the text goes on; *found tells. */
static const char *
put_key(struct out *o, struct fact *f, const char *p, int *found)
{
	const char *end = strchr(p, '}');
	int address = p[1] == '<', span = p[1] == '+',
	    i = find(f, p + 1 + (address || span), end);

	/* No time at all. */
	if (span && i != -1 && f->kv[i].val_len == 1 && f->kv[i].val[0] == '0') {
		f->used |= 1ull << i;
		i = -1;
	}
	*found = i != -1;
	if (i != -1) {
		f->used |= 1ull << i;
		if (address)
			put_address(o, &f->kv[i]);
		else if (span)
			put_span(o, &f->kv[i], f->time);
		else
			put_value(o, &f->kv[i]);
	}
	return end + 1;
}

static void
put_sentence(struct out *o, struct fact *f, const char *p)
{
	size_t before = 0;
	int optional = 0, any = 0, found;

	while (*p != '\0') {
		if (*p == '{') {
			p = put_key(o, f, p, &found);
			any |= found;
			if (!found && !optional)
				put(o, "?", 1);
			continue;
		}
		if (*p == '[') {
			optional = 1;
			any = 0;
			before = o->len;
		} else if (*p == ']') {
			optional = 0;
			if (!any) {
				o->len = before;
				o->buf[before] = '\0';
			}
		} else
			put(o, p, 1);
		p++;
	}
}

static void
put_rest(struct out *o, const struct fact *f)
{
	const char *before = " (";

	for (size_t i = 0; i < f->n; i++) {
		if (f->used & 1ull << i || f->kv[i].val_len == 0)
			continue;
		put(o, before, strlen(before));
		put(o, f->kv[i].key, f->kv[i].key_len);
		put(o, " ", 1);
		put_value(o, &f->kv[i]);
		before = ", ";
	}
	if (*before == ',')
		put(o, ")", 1);
}

size_t
explain_line(const struct line *l, char *buf, size_t cap)
{
	struct out o = { buf, 0, cap };
	struct fact f = { .time = l->time_us / 1000000 };
	size_t pos = 0;

	buf[0] = '\0';
	for (size_t t = 0; t < sizeof(table) / sizeof(table[0]); t++) {
		if (strlen(table[t].event) != l->event_len ||
		    memcmp(table[t].event, l->event, l->event_len) != 0)
			continue;
		while (f.n < KV_MAX && line_kv_next(l, &pos, &f.kv[f.n]))
			f.n++;
		put_sentence(&o, &f, table[t].sentence);
		put_rest(&o, &f);
		return o.len;
	}
	put(&o, l->text, l->text_len);
	return o.len;
}
