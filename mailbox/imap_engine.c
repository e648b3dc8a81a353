/* SPDX-License-Identifier: ISC */
/*
 * The IMAP machine: commands of the lexer against state, by a table; replies; see imap.h.
 */
#include <event2/buffer.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/compat/compat.h"
#include "mailbox/imap.h"
#include "mailbox/imap_limit.h"
#include "mailbox/imap_notify.h"
#include "mailbox/imap_rights.h"
#include "mailbox/imap_share.h"

#define ANY (IMAP_AUTHENTICATED | IMAP_SELECTED)
#define PROGRESS_MS 10000
#define UID_TOO 1    /* also as UID ... */
#define NO_EXPUNGE 2 /* without UID: sequence numbers must not change */
#define BY_NUMBER 4  /* without UID it takes sequence numbers */
#define EXPUNGES 8   /* tells of expunged messages as its result */
#define GUEST 16     /* other users too, as far as their rights go */
#define NO_STORE 32  /* needs nothing of the mailbox but what is open already */

static const struct command {
	const char *name;
	unsigned int states;
	int flags;
	imap_command_fn run;
} commands[] = {
	{ "CAPABILITY", ANY, NO_STORE, imap_cmd_capability },
	{ "NOOP", ANY, GUEST | NO_STORE, imap_cmd_noop },
	{ "LOGOUT", ANY, GUEST | NO_STORE, imap_cmd_logout },
	{ "ID", ANY, NO_STORE, imap_cmd_id },
	{ "ENABLE", ANY, NO_EXPUNGE | GUEST, imap_cmd_enable },
	{ "NAMESPACE", ANY, 0, imap_cmd_namespace },
	{ "LIST", ANY, GUEST, imap_cmd_list },
	{ "LSUB", ANY, 0, imap_cmd_lsub },
	{ "SELECT", ANY, GUEST, imap_cmd_select },
	{ "EXAMINE", ANY, GUEST, imap_cmd_examine },
	{ "STATUS", ANY, GUEST, imap_cmd_status },
	{ "CREATE", ANY, GUEST, imap_cmd_create },
	{ "DELETE", ANY, GUEST, imap_cmd_delete },
	{ "RENAME", ANY, GUEST, imap_cmd_rename },
	{ "SUBSCRIBE", ANY, 0, imap_cmd_subscribe },
	{ "UNSUBSCRIBE", ANY, 0, imap_cmd_unsubscribe },
	{ "APPEND", ANY, GUEST, imap_cmd_append },
	{ "REPLACE", IMAP_SELECTED, UID_TOO | BY_NUMBER | EXPUNGES | GUEST,
	    imap_cmd_replace },
	{ "IDLE", ANY, GUEST, imap_cmd_idle },
	{ "COMPRESS", ANY, 0, imap_cmd_compress },
	{ "GETQUOTA", ANY, GUEST, imap_cmd_getquota },
	{ "GETQUOTAROOT", ANY, GUEST, imap_cmd_getquotaroot },
	{ "SETQUOTA", ANY, NO_STORE, imap_cmd_setquota },
	{ "GETMETADATA", ANY, GUEST, imap_cmd_getmetadata },
	{ "SETMETADATA", ANY, GUEST, imap_cmd_setmetadata },
	{ "SETACL", ANY, GUEST, imap_cmd_setacl },
	{ "DELETEACL", ANY, GUEST, imap_cmd_deleteacl },
	{ "GETACL", ANY, GUEST, imap_cmd_getacl },
	{ "LISTRIGHTS", ANY, GUEST, imap_cmd_listrights },
	{ "MYRIGHTS", ANY, GUEST, imap_cmd_myrights },
	{ "GENURLAUTH", ANY, 0, imap_cmd_genurlauth },
	{ "RESETKEY", ANY, 0, imap_cmd_resetkey },
	{ "URLFETCH", ANY, 0, imap_cmd_urlfetch },
	{ "CANCELUPDATE", IMAP_SELECTED, GUEST, imap_cmd_cancelupdate },
	{ "NOTIFY", ANY, GUEST, imap_cmd_notify },
	{ "ESEARCH", ANY, UID_TOO | GUEST, imap_cmd_esearch },
	{ "UNAUTHENTICATE", ANY, 0, imap_cmd_unauthenticate },
	{ "CHECK", IMAP_SELECTED, GUEST, imap_cmd_check },
	{ "CLOSE", IMAP_SELECTED, GUEST, imap_cmd_close },
	{ "UNSELECT", IMAP_SELECTED, GUEST, imap_cmd_unselect },
	{ "EXPUNGE", IMAP_SELECTED, UID_TOO | EXPUNGES | GUEST, imap_cmd_expunge },
	{ "FETCH", IMAP_SELECTED, UID_TOO | NO_EXPUNGE | BY_NUMBER | GUEST,
	    imap_cmd_fetch },
	{ "STORE", IMAP_SELECTED, UID_TOO | NO_EXPUNGE | BY_NUMBER | GUEST,
	    imap_cmd_store },
	{ "SEARCH", IMAP_SELECTED, UID_TOO | NO_EXPUNGE | BY_NUMBER | GUEST,
	    imap_cmd_search },
	{ "SORT", IMAP_SELECTED, UID_TOO | NO_EXPUNGE | BY_NUMBER | GUEST,
	    imap_cmd_sort },
	{ "THREAD", IMAP_SELECTED, UID_TOO | NO_EXPUNGE | BY_NUMBER | GUEST,
	    imap_cmd_thread },
	{ "COPY", IMAP_SELECTED, UID_TOO | BY_NUMBER | GUEST, imap_cmd_copy },
	{ "MOVE", IMAP_SELECTED, UID_TOO | BY_NUMBER | EXPUNGES | GUEST, imap_cmd_move },
};

struct imap *
imap_new(struct store *store, void (*wake)(void *), void *arg)
{
	struct imap *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	if ((s->out = evbuffer_new()) == NULL) {
		free(s);
		return NULL;
	}
	s->store = store;
	s->state = IMAP_AUTHENTICATED;
	s->progress_ms = PROGRESS_MS;
	s->wake = wake;
	s->wake_arg = arg;
	imap_lex_init(&s->lex, IMAP_LINE_MAX, IMAP_LITERAL_MAX, IMAP_COMMAND_MAX);
	return s;
}

void
imap_set_opener(struct imap *s, struct store *(*open)(void *), void *arg)
{
	s->open = open;
	s->open_arg = arg;
}

void
imap_set_offer(struct imap *s, const struct imap_offer *offer)
{
	s->offer = *offer;
	if (offer->message_limit != 0)
		s->offer.save_limit = offer->message_limit;
}

void
imap_set_login(struct imap *s, uint64_t login)
{
	s->login = login;
}

void
imap_free(struct imap *s)
{
	if (s == NULL)
		return;
	s->wake = NULL;
	imap_set_task(s, NULL);
	imap_append_drop(s);
	imap_notify_free(s);
	imap_view_close(s);
	imap_announce_forget(s);
	imap_share_free(s);
	imap_guest_free(s->guest);
	imap_lex_clear(&s->lex);
	evbuffer_free(s->out);
	free(s);
}

struct evbuffer *
imap_output(struct imap *s)
{
	return s->out;
}

int
imap_ended(const struct imap *s)
{
	return s->state == IMAP_ENDED;
}

int
imap_unauthenticated(const struct imap *s)
{
	return s->unauthenticated;
}

int
imap_idle(const struct imap *s)
{
	return s->task == NULL && s->state != IMAP_ENDED &&
	       !imap_remote_append_blocked(s) && !imap_share_is_inside(s);
}

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
imap_set_task(struct imap *s, struct imap_task *t)
{
	if (s->task != NULL)
		s->task->free(s->task);
	s->task = t;
	if (t != NULL && t->progress != NULL)
		s->progress_last = now_ms();
}

/* ---- replies ---- */

static void
line(struct imap *s, const char *tag, const char *word, const char *fmt, va_list ap)
{
	evbuffer_add_printf(s->out, "%s %s", tag, word);
	evbuffer_add_vprintf(s->out, fmt, ap);
	evbuffer_add(s->out, "\r\n", 2);
}

void
imap_untagged(struct imap *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(s, "*", "", fmt, ap);
	va_end(ap);
}

void
imap_ok(struct imap *s, const char *fmt, ...)
{
	va_list ap;

	char code[IMAP_LIMIT_CODE_MAX];
	struct evbuffer *text = s->cut_at == 0 ? NULL : evbuffer_new();

	imap_view_sync(s, !s->no_expunge);
	va_start(ap, fmt);
	if (text == NULL)
		line(s, s->tag, "OK ", fmt, ap);
	else {
		evbuffer_add_vprintf(text, fmt, ap);
		evbuffer_add(text, "\r\n", 2);
		imap_limit_code(s, code);
		if (*evbuffer_pullup(text, 1) == '[') {
			/* One code has room there (RFC 9738, 3.1). */
			imap_untagged(s, "NO %sNot all messages were processed", code);
			evbuffer_add_printf(s->out, "%s OK ", s->tag);
		} else
			evbuffer_add_printf(s->out, "%s OK %s", s->tag, code);
		evbuffer_add_buffer(s->out, text);
		evbuffer_free(text);
	}
	va_end(ap);
	s->bad = 0;
}

void
imap_ok_modseq(struct imap *s, const char *text, bool changed)
{
	if (changed && (s->enabled & IMAP_CONDSTORE) && s->folder != NULL)
		imap_ok(s, "[HIGHESTMODSEQ %llu] %s",
		    (unsigned long long)folder_highestmodseq(s->folder), text);
	else
		imap_ok(s, "%s", text);
}

void
imap_no(struct imap *s, const char *fmt, ...)
{
	va_list ap;

	imap_view_sync(s, !s->no_expunge);
	va_start(ap, fmt);
	line(s, s->tag, "NO ", fmt, ap);
	va_end(ap);
	s->bad = 0;
}

void
imap_bye(struct imap *s, const char *text)
{
	if (s->state == IMAP_ENDED)
		return;
	imap_untagged(s, "BYE %s", text);
	imap_set_task(s, NULL);
	s->state = IMAP_ENDED;
}

void
imap_bad(struct imap *s, const char *text)
{
	evbuffer_add_printf(s->out, "%s BAD %s\r\n", s->tag, text);
	if (++s->bad >= IMAP_BAD_MAX)
		imap_bye(s, "Too many errors");
}

void
imap_no_store(struct imap *s, enum store_error e)
{
	static const char *const codes[] = {
		[STORE_NOT_FOUND] = "[NONEXISTENT] ",
		[STORE_EXISTS] = "[ALREADYEXISTS] ",
		[STORE_BAD_NAME] = "[CANNOT] ",
		[STORE_HAS_CHILDREN] = "[HASCHILDREN] ",
		[STORE_FULL] = "[OVERQUOTA] ",
		[STORE_NO_SPACE] = "[UNAVAILABLE] ",
		[STORE_LIMIT] = "[LIMIT] ",
		[STORE_GONE] = "[EXPUNGEISSUED] ",
		[STORE_IO] = "[SERVERBUG] ",
		[STORE_DENIED] = "[NOPERM] ",
		[STORE_BINARY] = "[UNKNOWN-CTE] ",
	};
	const char *code = "";

	if (e > STORE_OK && (size_t)e < sizeof(codes) / sizeof(codes[0]) &&
	    codes[e] != NULL)
		code = codes[e];
	imap_no(s, "%s%s", code, store_error_text(e));
}

/* ---- commands ---- */

static const struct command *
find_command(const struct imap_str *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (imap_str_is(name, commands[i].name))
			return &commands[i];
	return NULL;
}

bool
imap_has_store(struct imap *s)
{
	if (s->store == NULL && (s->store = s->open(s->open_arg)) == NULL)
		imap_bye(s, "[UNAVAILABLE] The mailbox cannot be opened now");
	return s->store != NULL;
}

/* The command that has come wants more than the connection. */
static bool
needs_store(const struct imap *s)
{
	struct imap_args a;
	struct imap_str tag, name;
	const struct command *c;

	imap_args_init(&a, s->lex.buf, s->lex.len);
	return imap_tag(&a, &tag) == -1 || imap_sp(&a) == -1 ||
	       imap_atom(&a, &name) == -1 || (c = find_command(&name)) == NULL ||
	       (c->flags & NO_STORE) == 0;
}

static void
run_command(struct imap *s)
{
	struct imap_args a;
	struct imap_str tag, name;
	const struct command *c;

	imap_args_init(&a, s->lex.buf, s->lex.len);
	strlcpy(s->tag, "*", sizeof(s->tag));
	s->uid = false;
	if (imap_tag(&a, &tag) == -1) {
		imap_bad(s, "A command starts with a tag");
		return;
	}
	imap_str_copy(&tag, s->tag, sizeof(s->tag));
	if (imap_sp(&a) == -1 || imap_atom(&a, &name) == -1) {
		imap_bad(s, "Missing command");
		return;
	}
	if (imap_str_is(&name, "UID")) {
		s->uid = true;
		if (imap_sp(&a) == -1 || imap_atom(&a, &name) == -1) {
			imap_bad(s, "Missing command after UID");
			return;
		}
	}
	if ((c = find_command(&name)) == NULL || (s->uid && (c->flags & UID_TOO) == 0)) {
		imap_bad(s, s->uid ? "Unknown UID command" : "Unknown command");
		return;
	}
	if (s->guest != NULL && (c->flags & GUEST) == 0) {
		imap_no(s, "[NOPERM] Not in another user's mailbox");
		return;
	}
	if ((c->states & s->state) == 0) {
		imap_bad(s, "No mailbox selected");
		return;
	}
	/* Another user's, whose commands go there: there was no memory for that. */
	if (c->states == IMAP_SELECTED && s->folder == NULL) {
		imap_no(s, "[UNAVAILABLE] Out of memory");
		return;
	}
	if (c->states == IMAP_SELECTED && imap_guest_lost(s)) {
		imap_view_close(s);
		imap_no(s, "[NOPERM] This mailbox is not shared any more");
		return;
	}
	if ((s->enabled & IMAP_UIDONLY) && (c->flags & BY_NUMBER) && !s->uid) {
		imap_bad(s, IMAP_UIDREQUIRED);
		return;
	}
	s->no_expunge = (c->flags & NO_EXPUNGE) != 0 && !s->uid;
	s->expunges = (c->flags & EXPUNGES) != 0;
	c->run(s, &a);
	if (a.error != NULL)
		imap_bad(s, a.error);
	s->no_expunge = s->task != NULL && s->no_expunge;
}

static void
announced_literal(struct imap *s)
{
	imap_lex_tag(&s->lex, s->tag, sizeof(s->tag));
	if (imap_remote_append_literal(s) || imap_append_literal(s))
		return;
	if (imap_lex_accept(&s->lex) == 0) {
		if (s->lex.literal_sync)
			evbuffer_add_printf(s->out, "+ Ready for literal\r\n");
		return;
	}
	switch (imap_lex_refuse(&s->lex, "Literal too large")) {
	case 0:
		imap_bad(s, "[TOOBIG] Literal too large");
		break;
	case -1:
		imap_bad(s, "[TOOBIG] Literal too large");
		imap_bye(s, "Literal too large to skip");
	}
}

static void
complete(struct imap *s)
{
	s->busy = true;
	s->cut_at = 0;
	if (s->store == NULL && needs_store(s) && !imap_has_store(s))
		;
	else if (s->append != NULL)
		imap_append_finish(s);
	else if (s->share != NULL && s->share->append != NULL)
		imap_remote_append_finish(s);
	else if (s->idling && imap_share_is_remote(s))
		imap_remote_idle_line(s, s->lex.buf, s->lex.len);
	else if (s->idling)
		imap_idle_line(s, s->lex.buf, s->lex.len);
	else if (!imap_remote_command(s))
		run_command(s);
	s->busy = false;
	imap_lex_reset(&s->lex);
}

static void
broken(struct imap *s)
{
	imap_append_drop(s);
	imap_remote_append_drop(s);
	imap_lex_tag(&s->lex, s->tag, sizeof(s->tag));
	if (s->idling && s->share != NULL && s->share->selected != NULL)
		imap_link_abandon(s->share->selected);
	if (s->idling) {
		s->idling = false;
		strlcpy(s->tag, "*", sizeof(s->tag));
	}
	imap_bad(s, s->lex.error);
	imap_lex_reset(&s->lex);
}

size_t
imap_input(struct imap *s, const uint8_t *in, size_t len)
{
	size_t done = 0;

	while (imap_idle(s) && s->compress != IMAP_SWITCHING &&
	       evbuffer_get_length(s->out) < IMAP_HIGH_WATER) {
		size_t used;
		enum imap_lex_event ev =
		    imap_lex_next(&s->lex, in + done, len - done, &used);

		done += used;
		switch (ev) {
		case IMAP_LEX_MORE:
			return done;
		case IMAP_LEX_LITERAL:
			if (imap_has_store(s))
				announced_literal(s);
			break;
		case IMAP_LEX_DATA:
			if (s->share != NULL && s->share->append != NULL)
				imap_remote_append_data(s, s->lex.data, s->lex.data_len);
			else
				imap_append_data(s, s->lex.data, s->lex.data_len);
			break;
		case IMAP_LEX_COMMAND:
			complete(s);
			return s->state == IMAP_ENDED && !s->unauthenticated ? len : done;
		case IMAP_LEX_BAD:
			broken(s);
			break;
		case IMAP_LEX_CLOSE:
			broken(s);
			imap_bye(s, "Literal too large to skip");
			break;
		}
	}
	return s->state == IMAP_ENDED && !s->unauthenticated ? len : done;
}

int
imap_take_compress(struct imap *s)
{
	if (s->compress != IMAP_SWITCHING)
		return 0;
	s->compress = IMAP_COMPRESSED;
	return 1;
}

/* A client that waits long may think that the connection is dead (RFC 9585). */
static void
tell_progress(struct imap *s)
{
	size_t done = 0, goal = 0;
	int64_t now;

	if (s->task->progress == NULL ||
	    (now = now_ms()) - s->progress_last < s->progress_ms)
		return;
	s->progress_last = now;
	s->task->progress(s->task, &done, &goal);
	evbuffer_add_printf(s->out, "* OK [INPROGRESS (");
	imap_print_nstring(s->out, s->tag);
	evbuffer_add_printf(s->out, " %zu %zu)] Still at it\r\n", done, goal);
}

int
imap_run(struct imap *s, size_t unsent)
{
	if (s->state == IMAP_ENDED)
		return 0;
	if (s->task == NULL && s->woken && s->idling && s->notify == NULL) {
		s->woken = false;
		if (imap_guest_lost(s))
			imap_bye(s, "[NOPERM] This mailbox is not shared any more");
		else
			imap_view_sync(s, true);
	}
	if (s->idling && imap_share_is_remote(s))
		imap_remote_idle_news(s);
	else if (s->task == NULL && s->notify != NULL && s->append == NULL)
		imap_remote_news(s);
	if (s->state == IMAP_ENDED || imap_share_is_inside(s))
		return 0;
	if (evbuffer_get_length(s->out) + unsent >= IMAP_HIGH_WATER)
		return 0;
	if (s->task == NULL && imap_notify_pending(s))
		imap_notify_tell(s);
	if (s->task == NULL)
		return 0;
	s->waiting = false;
	s->busy = true;
	if (s->task->step(s, s->task, unsent) == 0) {
		imap_set_task(s, NULL);
		s->no_expunge = false;
	} else
		tell_progress(s);
	s->busy = false;
	return (s->task != NULL ? !s->waiting : imap_notify_pending(s)) &&
	       evbuffer_get_length(s->out) + unsent < IMAP_HIGH_WATER;
}

unsigned int
imap_watched(const struct imap *s)
{
	if (s->notify != NULL && s->notify->n_groups > 0)
		return s->watched;
	return s->idling && s->folder != NULL ? s->watched : 0;
}

static int
wanted(const char *name, void *arg)
{
	const struct imap *s = arg;

	return (imap_notify_events(s, name) & IMAP_EVENTS_MESSAGE) != 0;
}

void
imap_watch_each(struct imap *s, void (*cb)(const char *name, void *), void *arg)
{
	struct folder_info *f;
	size_t n;

	if (s->folder != NULL &&
	    (s->idling || (s->notify != NULL && s->notify->selected != 0)))
		cb(folder_name(s->folder), arg);
	if (s->notify == NULL || s->notify->n_groups == 0)
		return;
	cb("", arg);
	if (store_list(s->store, &f, &n) != STORE_OK)
		return;
	for (size_t i = 0; i < n; i++)
		if ((f[i].flags & FOLDER_NOSELECT) == 0 && wanted(f[i].name, s))
			cb(f[i].name, arg);
	free(f);
}

void
imap_poll(struct imap *s, bool everywhere)
{
	bool notify = s->notify != NULL && s->notify->n_groups > 0;

	imap_share_poll(s);
	if (s->task != NULL || (!s->idling && !notify))
		return;
	/* Watches tell imap_run() of what is found. */
	if (s->folder != NULL)
		(void)folder_refresh(s->folder);
	if (everywhere && notify)
		store_look(s->store, wanted, s);
}
