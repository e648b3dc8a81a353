/* SPDX-License-Identifier: ISC */
/*
 * GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208). A mailbox with a limit has one quota root,
 * "", for all of its folders. Administrators look at other mailboxes' roots, which they
 * name user/ADDRESS, and set limits: both is asked of authd (quota_asks.h), and meanwhile
 * the command waits.
 */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"
#include "mailbox/imap.h"
#include "mailbox/imap_rights.h"
#include "mailbox/quota_asks.h"

#define ROOT_OF_USER "user/"
#define ROOT_MAX (ADDRESS_MAX + sizeof(ROOT_OF_USER))

static const char *
root(const struct imap *s)
{
	return s->guest == NULL ? "" : s->guest->prefix;
}

static bool
has_limit(const struct imap *s)
{
	return store_quota(s->store) != 0 || store_quota_messages(s->store) != 0;
}

/* STORAGE is in units of 1024 octets (RFC 9208, 5.1); what is begun counts. Limits of 0
 * are none. */
static void
print(struct imap *s, const char *name, const struct msg_quota_is *q)
{
	evbuffer_add_printf(s->out, "* QUOTA ");
	imap_print_string(s->out, name, strlen(name));
	evbuffer_add(s->out, " (", 2);
	if (q->octets_max != 0)
		evbuffer_add_printf(s->out, "STORAGE %llu %llu",
		    (unsigned long long)(q->octets / 1024 + (q->octets % 1024 != 0)),
		    (unsigned long long)(q->octets_max / 1024 +
					 (q->octets_max % 1024 != 0)));
	if (q->messages_max != 0)
		evbuffer_add_printf(s->out, "%sMESSAGE %llu %llu",
		    q->octets_max != 0 ? " " : "", (unsigned long long)q->messages,
		    (unsigned long long)q->messages_max);
	evbuffer_add(s->out, ")\r\n", 3);
}

static void
tell(struct imap *s)
{
	struct msg_quota_is q = { .octets = store_used(s->store),
		.messages = store_messages(s->store),
		.octets_max = store_quota(s->store),
		.messages_max = store_quota_messages(s->store) };

	/* Another user sees it beside his own, which is "". */
	print(s, root(s), &q);
}

/* ---- what authd is asked ---- */

struct quota {
	struct imap_task task;
	struct imap *s;
	uint64_t id; /* 0: answered */
	bool set;
	bool answered; /* by authd */
	struct msg_quota_is is;
	char root[ROOT_MAX + 1]; /* as the client calls it */
};

static void
quota_free(struct imap_task *task)
{
	struct quota *t = (struct quota *)task;

	if (t->id != 0)
		quota_ask_forget(t->id);
	free(t);
}

static void
on_quota(struct msg *m, void *arg)
{
	struct quota *t = arg;

	t->id = 0;
	if (m != NULL) {
		t->is = m->p.quota_is;
		t->answered = true;
	}
	if (t->s->wake != NULL)
		t->s->wake(t->s->wake_arg);
}

static void
no_quota(struct imap *s, enum answer_status st)
{
	switch (st) {
	case MSG_DENIED:
		/* Nor is it announced any more. */
		s->offer.quotaset = false;
		imap_no(s, "[NOPERM] The administrator's right has ended: log in again");
		break;
	case MSG_UNKNOWN:
		imap_no(s, "[NONEXISTENT] No such quota root");
		break;
	case MSG_FULL:
		imap_no(s, "[LIMIT] Too much at once, try again in a minute");
		break;
	case MSG_PERM:
		imap_no(s, "[CANNOT] Such a limit cannot be set");
		break;
	default:
		imap_no(s, "[UNAVAILABLE] Not now, try again later");
	}
}

static int
quota_step(struct imap *s, struct imap_task *task, size_t unsent)
{
	struct quota *t = (struct quota *)task;
	bool limited;

	if (t->id != 0) {
		s->waiting = true;
		return 1;
	}
	if (!t->answered || t->is.status != MSG_OK) {
		no_quota(s, t->answered ? (enum answer_status)t->is.status : MSG_TEMP);
		return 0;
	}
	/* A list of resources is not empty (RFC 9208, 7). */
	limited = t->is.octets_max != 0 || t->is.messages_max != 0;
	if (limited)
		print(s, t->root, &t->is);
	if (t->set)
		imap_ok(s, limited ? "SETQUOTA completed" : "No limit is left");
	else if (limited)
		imap_ok(s, "GETQUOTA completed");
	else
		imap_no(s, "[NONEXISTENT] That mailbox has no limit");
	return 0;
}

bool
imap_quota_is_asked(const struct imap *s, const char *name)
{
	return s->offer.quotaset &&
	       strncmp(name, ROOT_OF_USER, strlen(ROOT_OF_USER)) == 0;
}

/* Whose root an administrator means by that name. false: nobody's. */
static bool
whose(const struct imap *s, const char *name, char address[ADDRESS_MAX + 1])
{
	if (name[0] != '\0' && !imap_quota_is_asked(s, name))
		return false;
	if (name[0] == '\0' && s->owner == NULL)
		return false;
	return strlcpy(address, name[0] == '\0' ? s->owner : name + strlen(ROOT_OF_USER),
		   ADDRESS_MAX + 1) <= ADDRESS_MAX;
}

/* w without login and address. */
static void
ask(struct imap *s, const struct imap_str *name, struct quota_wanted *w)
{
	struct quota *t = calloc(1, sizeof(*t));
	char address[ADDRESS_MAX + 1];

	if (t == NULL) {
		no_quota(s, MSG_TEMP);
		return;
	}
	if (imap_str_copy(name, t->root, sizeof(t->root)) == -1 ||
	    !whose(s, t->root, address)) {
		free(t);
		no_quota(s, MSG_UNKNOWN);
		return;
	}
	w->login = s->login;
	w->address = address;
	t->task.step = quota_step;
	t->task.free = quota_free;
	t->s = s;
	t->set = w->set;
	if ((t->id = quota_ask(w, on_quota, t)) == 0) {
		free(t);
		no_quota(s, MSG_TEMP);
		return;
	}
	imap_set_task(s, &t->task);
}

/* ---- commands ---- */

void
imap_cmd_getquota(struct imap *s, struct imap_args *a)
{
	struct imap_str v;

	if (imap_sp(a) == -1 || imap_astring(a, &v) == -1 || imap_end(a) == -1)
		return;
	if (s->offer.quotaset && v.len != 0) {
		ask(s, &v, &(struct quota_wanted){ .set = false });
		return;
	}
	if (!ascii_equal(v.s, v.len, root(s)) || !has_limit(s)) {
		imap_no(s, "[NONEXISTENT] No such quota root");
		return;
	}
	tell(s);
	imap_ok(s, "GETQUOTA completed");
}

void
imap_cmd_getquotaroot(struct imap *s, struct imap_args *a)
{
	char name[STORE_NAME_MAX + 1];
	const char *no;
	struct folder *f;
	enum store_error e;

	if (imap_sp(a) == -1 || imap_mailbox(s, a, name, &no) == -1 || imap_end(a) == -1)
		return;
	if (no != NULL) {
		imap_no(s, "%s", no);
		return;
	}
	if ((e = imap_open(s, name, ACL_READ, &f)) != STORE_OK) {
		imap_no_store(s, e);
		return;
	}
	folder_close(f);
	evbuffer_add_printf(s->out, "* QUOTAROOT ");
	imap_print_mailbox(s, name);
	if (has_limit(s)) {
		evbuffer_add(s->out, " ", 1);
		imap_print_string(s->out, root(s), strlen(root(s)));
	}
	evbuffer_add(s->out, "\r\n", 2);
	if (has_limit(s))
		tell(s);
	imap_ok(s, "GETQUOTAROOT completed");
}

/* The list of resources. -1: it is none; *no: why it cannot be set. */
static int
limits(struct imap_args *a, struct quota_wanted *w, const char **no)
{
	bool storage = false, message = false;

	while (!imap_try_char(a, ')')) {
		struct imap_str name;
		uint64_t n;

		if (imap_atom(a, &name) == -1 || imap_sp(a) == -1 ||
		    imap_modseq(a, &n) == -1 || (imap_peek(a) != ')' && imap_sp(a) == -1))
			return -1;
		if (imap_str_is(&name, "STORAGE")) {
			if (storage)
				return imap_fail(a, "A resource twice");
			storage = true;
			if (n > INT64_MAX / 1024)
				*no = "[CANNOT] Such a limit cannot be set";
			else
				w->octets = n * 1024;
		} else if (imap_str_is(&name, "MESSAGE")) {
			if (message)
				return imap_fail(a, "A resource twice");
			message = true;
			w->messages = n;
		} else
			*no = "[CANNOT] Only STORAGE and MESSAGE can be limited";
		/* It stands for no limit of the account's own. */
		if (n == 0)
			*no = "[CANNOT] A limit of 0 cannot be set";
	}
	return imap_end(a);
}

void
imap_cmd_setquota(struct imap *s, struct imap_args *a)
{
	struct quota_wanted w = { .set = true };
	const char *no = NULL;
	struct imap_str name;

	if (imap_sp(a) == -1 || imap_astring(a, &name) == -1 || imap_sp(a) == -1 ||
	    imap_char(a, '(') == -1 || limits(a, &w, &no) == -1)
		return;
	if (!s->offer.quotaset)
		imap_no(s, "[NOPERM] Limits are the administrator's matter");
	else if (no != NULL)
		imap_no(s, "%s", no);
	else
		ask(s, &name, &w);
}
