/* SPDX-License-Identifier: ISC */
/* Links to other users' mailboxes, and what passes over them; see imap_share.h. */
#include "mailbox/imap_share.h"

#include <event2/buffer.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"
#include "mailbox/imap_notify.h"

#define LINKS_MAX 8
#define UNUSED_MS 60000

int64_t
imap_share_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the session's side ---- */

int
imap_set_share(
    struct imap *s, const struct imap_share_ops *ops, void *arg, const char *prefix)
{
	struct imap_share *sh = calloc(1, sizeof(*sh));

	if (sh == NULL)
		return -1;
	sh->ops = ops;
	sh->arg = arg;
	LIST_INIT(&sh->links);
	(void)strlcpy(sh->prefix, prefix, sizeof(sh->prefix));
	s->share = sh;
	return 0;
}

static void
forget_owners(struct imap_share *sh)
{
	for (size_t i = 0; i < sh->n_owners; i++)
		free(sh->owners[i]);
	free(sh->owners);
	sh->owners = NULL;
	sh->n_owners = 0;
}

void
imap_share_free(struct imap *s)
{
	struct imap_share *sh = s->share;

	if (sh == NULL)
		return;
	imap_remote_append_drop(s);
	while (!LIST_EMPTY(&sh->links))
		imap_link_close(LIST_FIRST(&sh->links));
	sh->ops->forget(sh->arg);
	forget_owners(sh);
	imap_share_forget_folders(sh);
	free(sh);
	s->share = NULL;
}

static void
news(struct imap *s)
{
	s->waiting = false;
	if (s->wake != NULL)
		s->wake(s->wake_arg);
}

void
imap_share_owners(struct imap *s, const char *const *owners, size_t n)
{
	struct imap_share *sh = s->share;

	sh->owners_asked = false;
	if (owners != NULL && n > 0) {
		char **v = calloc(n, sizeof(char *));

		if (v != NULL) {
			forget_owners(sh);
			sh->owners = v;
			while (sh->n_owners < n && sh->n_owners < IMAP_SHARE_OWNERS_MAX &&
			       (v[sh->n_owners] = strdup(owners[sh->n_owners])) != NULL)
				sh->n_owners++;
		}
	} else if (owners != NULL)
		forget_owners(sh);
	news(s);
}

void
imap_share_told(struct imap *s)
{
	s->share->told = true;
	news(s);
}

void
imap_share_opened(struct imap_link *l, bool refused)
{
	l->state = refused ? IMAP_LINK_REFUSED : IMAP_LINK_OPEN;
	news(l->imap);
}

void
imap_share_ready(struct imap_link *l)
{
	struct imap *s = l->imap;

	/* Nobody waits for the answers to a command of our own. */
	if (l->skip != 0)
		(void)imap_link_next(l);
	news(s);
}

bool
imap_share_is_inside(const struct imap *s)
{
	const struct imap_link *l = s->share == NULL ? NULL : s->share->selected;

	return l != NULL && s->task == NULL && l->skip == 0 && l->reply.inside &&
	       !l->dropping;
}

void
imap_share_lost(struct imap_link *l)
{
	struct imap *s = l->imap;

	l->state = IMAP_LINK_LOST;
	if (l == s->share->selected && imap_share_is_inside(s))
		s->state = IMAP_ENDED;
	if (s->share->selected == l) {
		s->share->selected = NULL;
		s->share->lost = true;
	}
	news(s);
}

void
imap_share_poll(struct imap *s)
{
	struct imap_link *l, *next;
	int64_t now = imap_share_now();

	if (s->share == NULL)
		return;
	/* A task looks at its own patience. */
	if (s->task != NULL) {
		s->waiting = false;
		return;
	}
	l = s->share->selected;
	if (imap_share_is_inside(s) && now - l->used_ms > IMAP_SHARE_PATIENCE_MS)
		imap_share_lost(l);
	if (s->share->append != NULL) {
		imap_remote_append_poll(s);
		return;
	}
	for (l = LIST_FIRST(&s->share->links); l != NULL; l = next) {
		next = LIST_NEXT(l, entry);
		if (l->state != IMAP_LINK_OPEN ||
		    (l != s->share->selected && now - l->used_ms > UNUSED_MS))
			imap_link_close(l);
	}
}

int
imap_share_wait(struct imap *s)
{
	s->waiting = true;
	return 1;
}

/* ---- names ---- */

/* What would be a separator or a wildcard is %XX in names. */
static bool
is_plain(unsigned char c)
{
	return c > ' ' && c != 0x7f && strchr("/%*\"\\", c) == NULL;
}

int
imap_share_print_owner(
    const struct imap_share *sh, const char *owner, char *out, size_t cap)
{
	int n = snprintf(out, cap, "%s/", sh->prefix);

	if (n < 0 || (size_t)n >= cap)
		return -1;
	for (; *owner != '\0'; owner++) {
		int k = snprintf(out + n, cap - (size_t)n,
		    is_plain((unsigned char)*owner) ? "%c" : "%%%02X",
		    (unsigned char)*owner);

		if (k < 0 || (size_t)(n + k) >= cap)
			return -1;
		n += k;
	}
	return 0;
}

static int
read_owner(const char *s, size_t len, char owner[ADDRESS_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)s[i];

		if (c == '%') {
			if (len - i < 3 || hex_decode(s + i + 1, 2, &c, 1) != 1 ||
			    c == '\0' || is_plain(c))
				return -1;
			i += 2;
		} else if (!is_plain(c))
			return -1;
		if (n == ADDRESS_MAX)
			return -1;
		owner[n++] = (char)c;
	}
	owner[n] = '\0';
	return n == 0 ? -1 : 0;
}

int
imap_share_whose(const struct imap *s, const char *name, char owner[ADDRESS_MAX + 1])
{
	const char *p = s->share == NULL ? "" : s->share->prefix, *slash;
	size_t len = strlen(p);

	if (len == 0 || strncmp(name, p, len) != 0)
		return 0;
	name += len;
	if (*name == '\0')
		return -1;
	if (*name != '/')
		return 0;
	name++;
	if ((slash = strchr(name, '/')) == NULL || slash[1] == '\0')
		return -1;
	return read_owner(name, (size_t)(slash - name), owner) == -1 ? -1 : 1;
}

/* ---- links ---- */

void
imap_link_close(struct imap_link *l)
{
	struct imap_share *sh = l->imap->share;

	if (sh->selected == l) {
		sh->selected = NULL;
		sh->lost = true;
	}
	LIST_REMOVE(l, entry);
	sh->n_links--;
	sh->ops->close(sh->arg, l);
	evbuffer_free(l->in);
	evbuffer_free(l->out);
	free(l);
}

static void
close_oldest(struct imap_share *sh)
{
	struct imap_link *l, *oldest = NULL;

	LIST_FOREACH (l, &sh->links, entry)
		if (l != sh->selected && (oldest == NULL || l->used_ms < oldest->used_ms))
			oldest = l;
	if (oldest != NULL)
		imap_link_close(oldest);
}

struct imap_link *
imap_link_get(struct imap *s, const char *owner)
{
	struct imap_share *sh = s->share;
	struct imap_link *l, *next;

	for (l = LIST_FIRST(&sh->links); l != NULL; l = next) {
		next = LIST_NEXT(l, entry);
		if (strcmp(l->owner, owner) != 0)
			continue;
		if (l->state == IMAP_LINK_OPEN || l->state == IMAP_LINK_ASKED)
			return l;
		imap_link_close(l);
	}
	if (sh->n_links >= LINKS_MAX)
		close_oldest(sh);
	if ((l = calloc(1, sizeof(*l))) == NULL)
		return NULL;
	l->imap = s;
	l->in = evbuffer_new();
	l->out = evbuffer_new();
	l->used_ms = imap_share_now();
	imap_reply_init(&l->reply);
	if (l->in == NULL || l->out == NULL ||
	    strlcpy(l->owner, owner, sizeof(l->owner)) >= sizeof(l->owner) ||
	    imap_share_print_owner(sh, owner, l->prefix, sizeof(l->prefix)) == -1)
		goto fail;
	LIST_INSERT_HEAD(&sh->links, l, entry);
	sh->n_links++;
	if (sh->ops->open(sh->arg, l) == -1)
		l->state = IMAP_LINK_LOST;
	return l;
fail:
	if (l->in != NULL)
		evbuffer_free(l->in);
	if (l->out != NULL)
		evbuffer_free(l->out);
	free(l);
	return NULL;
}

void
imap_link_write(struct imap_link *l, const void *p, size_t n)
{
	if (evbuffer_add(l->out, p, n) == -1)
		l->state = IMAP_LINK_LOST;
	l->imap->share->ops->flush(l->imap->share->arg, l);
}

void
imap_link_printf(struct imap_link *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (evbuffer_add_vprintf(l->out, fmt, ap) == -1)
		l->state = IMAP_LINK_LOST;
	va_end(ap);
	l->imap->share->ops->flush(l->imap->share->arg, l);
}

void
imap_link_tag(unsigned int number, char out[24])
{
	(void)snprintf(out, 24, "fife%u", number);
}

unsigned int
imap_link_ask(struct imap_link *l, const char *fmt, ...)
{
	char tag[24];
	va_list ap;

	imap_link_tag(++l->serial, tag);
	(void)evbuffer_add_printf(l->out, "%s ", tag);
	va_start(ap, fmt);
	if (evbuffer_add_vprintf(l->out, fmt, ap) == -1 ||
	    evbuffer_add(l->out, "\r\n", 2) == -1)
		l->state = IMAP_LINK_LOST;
	va_end(ap);
	l->imap->share->ops->flush(l->imap->share->arg, l);
	return l->serial;
}

/* Before something is selected there. */
static void
ask_notify(struct imap_link *l)
{
	struct evbuffer *b = evbuffer_new();

	if (b == NULL)
		return;
	imap_notify_print_selected(l->imap, b);
	evbuffer_add(b, "", 1);
	l->notified = l->imap->notify_version;
	l->skip = imap_link_ask(l, "NOTIFY %s", (char *)evbuffer_pullup(b, -1));
	evbuffer_free(b);
}

void
imap_link_begin(struct imap_link *l)
{
	static const struct {
		unsigned int bit;
		const char *name;
	} names[] = { { IMAP_QRESYNC, " QRESYNC" }, { IMAP_CONDSTORE, " CONDSTORE" },
		{ IMAP_UTF8, " UTF8=ACCEPT" }, { IMAP_REV2, " IMAP4rev2" },
		{ IMAP_UIDONLY, " UIDONLY" } };
	unsigned int want = l->imap->enabled & ~l->enabled;
	char list[80] = "";

	l->used_ms = imap_share_now();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (want & names[i].bit)
			(void)strlcat(list, names[i].name, sizeof(list));
	l->enabled |= want;
	if (list[0] != '\0')
		l->skip = imap_link_ask(l, "ENABLE%s", list);
	if (l->imap->notify != NULL && l != l->imap->share->selected &&
	    l->notified != l->imap->notify_version)
		ask_notify(l);
}

void
imap_link_abandon(struct imap_link *l)
{
	if (l == l->imap->share->selected) {
		imap_share_lost(l);
		return;
	}
	if (l->idle_sent)
		imap_link_write(l, "DONE\r\n", 6);
	l->idle_sent = false;
	l->skip = imap_link_ask(l, "NOOP");
}

void
imap_share_unselect(struct imap *s)
{
	struct imap_share *sh = s->share;

	if (sh == NULL)
		return;
	if (sh->selected != NULL) {
		sh->selected->used_ms = imap_share_now();
		sh->selected->skip = imap_link_ask(sh->selected, "UNSELECT");
	}
	sh->selected = NULL;
	sh->lost = false;
	if (s->folder == NULL && s->state == IMAP_SELECTED)
		s->state = IMAP_AUTHENTICATED;
}

/* A response that has reached the client in part cannot be taken back, nor can anything
 * be said in the middle of it. */
static enum imap_relay
relay_lost(struct imap_link *l)
{
	if (l->reply.inside && !l->dropping)
		l->imap->state = IMAP_ENDED;
	return IMAP_RELAY_LOST;
}

int
imap_link_failed(struct imap_link *l)
{
	struct imap *s = l->imap;

	if (s->state == IMAP_ENDED)
		return 1;
	if (l->state == IMAP_LINK_REFUSED) {
		imap_no(s, "[NONEXISTENT] No such mailbox or message");
		return 1;
	}
	if (imap_share_now() - l->used_ms > IMAP_SHARE_PATIENCE_MS)
		l->state = IMAP_LINK_LOST;
	if (l->state != IMAP_LINK_LOST)
		return 0;
	(void)relay_lost(l);
	if (s->state == IMAP_ENDED)
		return 1;
	imap_no(s, "[UNAVAILABLE] The mailbox of %s is not available now", l->owner);
	return 1;
}

/* ---- answers ---- */

/* The answer to what makes use of modification sequences for the first time. */
static bool
is_highestmodseq(const struct imap_reply *r)
{
	static const char start[] = "* OK [HIGHESTMODSEQ ";

	return r->len >= sizeof(start) && memcmp(r->s, start, sizeof(start) - 1) == 0;
}

bool
imap_link_pass_news(struct imap_link *l)
{
	struct imap_reply *r = &l->reply;

	if (l != l->imap->share->selected || !r->first || !r->last ||
	    (imap_reply_kind(r) == IMAP_REPLY_SELECTED ? imap_reply_is_result(r, "fife")
						       : !is_highestmodseq(r)))
		return false;
	imap_reply_take(r, l->in, l->imap->out, SIZE_MAX);
	return true;
}

enum imap_relay
imap_link_drain(struct imap_link *l, unsigned int number)
{
	char tag[24];

	imap_link_tag(number, tag);
	for (;;) {
		bool end;

		if (imap_link_next(l) == IMAP_REPLY_MORE)
			return l->state == IMAP_LINK_LOST ? IMAP_RELAY_LOST
							  : IMAP_RELAY_MORE;
		l->used_ms = imap_share_now();
		if (imap_link_pass_news(l))
			continue;
		if (imap_reply_kind(&l->reply) == IMAP_REPLY_BYE)
			return IMAP_RELAY_LOST;
		end = imap_reply_is(&l->reply, tag);
		imap_reply_take(&l->reply, l->in, NULL, SIZE_MAX);
		if (end)
			return IMAP_RELAY_OK;
	}
}

enum imap_reply_event
imap_link_next(struct imap_link *l)
{
	char tag[24];

	for (;;) {
		enum imap_reply_event ev = imap_reply_next(&l->reply, l->in);

		if (ev == IMAP_REPLY_MORE) {
			if (l->imap->share->ops->more(l->imap->share->arg, l))
				continue;
			return ev;
		}
		if (l->skip == 0)
			return ev;
		imap_link_tag(l->skip, tag);
		if (imap_reply_is(&l->reply, tag))
			l->skip = 0;
		else if (imap_link_pass_news(l))
			continue;
		else if (l->reply.first && l->reply.s != NULL &&
			 strncmp(l->reply.s, "* BYE", 5) == 0)
			l->state = IMAP_LINK_LOST;
		l->dropping = true;
		imap_reply_take(&l->reply, l->in, NULL, SIZE_MAX);
	}
}

/* The prefix as it stands in answers. */
static void
wire_prefix(const struct imap_link *l, char *out, size_t cap)
{
	if (imap_names_are_utf8(l->imap) ||
	    utf7_from_utf8(l->prefix, strlen(l->prefix), out, cap) == -1)
		(void)strlcpy(out, l->prefix, cap);
}

/* May the response that begins here go to the client? */
static bool
passes(struct imap_link *l, bool about_selected)
{
	char prefix[IMAP_GUEST_PREFIX_MAX * 3];
	const char *p;

	switch (imap_reply_kind(&l->reply)) {
	case IMAP_REPLY_SELECTED:
		return about_selected;
	case IMAP_REPLY_STATUS:
		if (about_selected)
			return true;
		p = memchr(l->reply.s, '[', l->reply.len);
		return p == NULL || (l->reply.len - (size_t)(p - l->reply.s) >= 11 &&
					memcmp(p, "[INPROGRESS", 11) == 0);
	case IMAP_REPLY_MAILBOX:
		wire_prefix(l, prefix, sizeof(prefix));
		return imap_reply_names(&l->reply, prefix);
	default:
		return false;
	}
}

/* "tag OK [CODE] text": without the code if that is not to be shown. */
static void
pass_completion(struct imap_link *l, const char *tag, struct evbuffer *done)
{
	const char *s = l->reply.s, *text = s + strlen(tag) + 1, *end = s + l->reply.len;

	while (text < end && *text != ' ' && *text != '\r')
		text++;
	text += text < end && *text == ' ';
	if (!imap_reply_code_is_harmless(text, (size_t)(end - text))) {
		(void)evbuffer_add(done, s, (size_t)(text - s));
		(void)evbuffer_add_printf(done, "completed\r\n");
		imap_reply_take(&l->reply, l->in, NULL, SIZE_MAX);
	} else
		imap_reply_take(&l->reply, l->in, done, SIZE_MAX);
}

enum imap_relay
imap_link_relay(struct imap_link *l, const char *tag, bool about_selected, size_t unsent,
    struct evbuffer *done)
{
	struct imap *s = l->imap;

	for (;;) {
		enum imap_reply_event ev;
		bool ok;

		if (evbuffer_get_length(s->out) + unsent >= IMAP_HIGH_WATER)
			return IMAP_RELAY_FULL;
		if ((ev = imap_link_next(l)) == IMAP_REPLY_MORE)
			return l->state == IMAP_LINK_LOST ? relay_lost(l)
							  : IMAP_RELAY_MORE;
		if (!l->reply.first) {
			bool last = l->reply.last;

			if (!l->dropping)
				l->used_ms = imap_share_now();
			imap_reply_take(&l->reply, l->in, l->dropping ? NULL : s->out,
			    IMAP_HIGH_WATER);
			if (last)
				l->dropping = false;
			continue;
		}
		if (imap_reply_is(&l->reply, "") && l->reply.last) {
			imap_reply_take(&l->reply, l->in, NULL, SIZE_MAX);
			l->used_ms = imap_share_now();
			return IMAP_RELAY_PLUS;
		}
		if (imap_reply_is(&l->reply, tag) && l->reply.last) {
			ok = imap_reply_ok(&l->reply, tag);
			if (done != NULL)
				pass_completion(l, tag, done);
			else
				imap_reply_take(&l->reply, l->in, NULL, SIZE_MAX);
			l->used_ms = imap_share_now();
			return ok ? IMAP_RELAY_OK : IMAP_RELAY_NO;
		}
		if (imap_reply_kind(&l->reply) == IMAP_REPLY_BYE ||
		    imap_reply_kind(&l->reply) == IMAP_REPLY_BAD) {
			imap_share_lost(l);
			return IMAP_RELAY_LOST;
		}
		l->dropping = !passes(l, about_selected);
		if (!l->dropping)
			l->used_ms = imap_share_now();
		ok = l->reply.last;
		imap_reply_take(&l->reply, l->in, l->dropping ? NULL : s->out, SIZE_MAX);
		if (ok)
			l->dropping = false;
	}
}
