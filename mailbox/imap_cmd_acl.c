/* SPDX-License-Identifier: ISC */
/*
 * SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314). The owner has all rights
 * and keeps them.
 */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "mailbox/imap.h"
#include "mailbox/imap_rights.h"
#include "mailbox/imap_share.h"

static const struct acl nobody;

static const struct acl *
list_of(struct imap *s, const char *name)
{
	const struct acl *a = store_acl(s->store, name);

	return a == NULL ? &nobody : a;
}

static const char *
owner(const struct imap *s)
{
	return s->owner == NULL ? "owner" : s->owner;
}

static bool
is_owner(const struct imap *s, const char *identifier)
{
	return strcmp(identifier + (identifier[0] == '-'), owner(s)) == 0;
}

/* A mailbox that is there and on which that may be done. -1: NO was said. */
static int
target(struct imap *s, const char *name, const char *no, unsigned int need)
{
	struct folder *f;
	enum store_error e;

	if (no != NULL) {
		imap_no(s, "%s", no);
		return -1;
	}
	if ((e = imap_open(s, name, need, &f)) != STORE_OK) {
		imap_no_store(s, e);
		return -1;
	}
	folder_close(f);
	return 0;
}

/* As the client wrote it, and as lists have it; -1 with a->error. */
static int
identifier(struct imap *s, struct imap_args *a, struct imap_str *v,
    char out[ACL_IDENTIFIER_MAX + 1])
{
	const char *at = s->owner == NULL ? NULL : strrchr(s->owner, '@');

	if (imap_sp(a) == -1 || imap_astring(a, v) == -1)
		return -1;
	if (acl_identifier(v->s, v->len, at == NULL ? "" : at + 1, out,
		ACL_IDENTIFIER_MAX + 1) == -1)
		return imap_fail(a, "Invalid identifier");
	return 0;
}

static void
print_rights(struct imap *s, unsigned int rights)
{
	char text[ACL_RIGHTS_SIZE];

	acl_rights_print(rights, true, text);
	evbuffer_add(s->out, " ", 1);
	imap_print_string(s->out, text, strlen(text));
}

/* One entry of a list changed. */
static void
change(struct imap *s, const char *name, const char *who, unsigned int rights,
    const char *done)
{
	const struct acl *old = list_of(s, name);
	struct acl a = { 0 }, before = { 0 };
	enum store_error e;
	char *all = NULL;
	size_t len;

	if (acl_get(old, who) == rights) {
		imap_ok(s, "%s", done);
		return;
	}
	if (acl_copy(old, &a) == -1 || acl_copy(old, &before) == -1 ||
	    (all = malloc(IMAP_SHARE_IDENTIFIERS_MAX)) == NULL)
		imap_no(s, "[UNAVAILABLE] Out of memory");
	else if (acl_set(&a, who, rights) == -1)
		imap_no(s, "[LIMIT] Too many identifiers");
	else if ((e = store_acl_set(s->store, name, &a)) != STORE_OK)
		imap_no_store(s, e);
	else if (store_acl_identifiers(s->store, all, IMAP_SHARE_IDENTIFIERS_MAX, &len) ==
		 -1) {
		(void)store_acl_set(s->store, name, &before);
		imap_no(s, "[LIMIT] This mailbox is shared with too many");
	} else
		imap_share_tell(s, done);
	free(all);
	acl_clear(&a);
	acl_clear(&before);
}

/* ---- whom it is shared with, for authd ---- */

struct tell {
	struct imap_task task;
	const char *done;
	int64_t since;
};

#define TELL_MS 5000 /* then it is told again later (shares.h) */

static int
tell_step(struct imap *s, struct imap_task *t, size_t unsent)
{
	struct tell *x = (struct tell *)t;

	if (!s->share->told && imap_share_now() - x->since < TELL_MS)
		return imap_share_wait(s);
	imap_ok(s, "%s", x->done);
	return 0;
}

static void
tell_free(struct imap_task *t)
{
	free(t);
}

void
imap_share_tell(struct imap *s, const char *done)
{
	struct tell *x = s->share == NULL ? NULL : calloc(1, sizeof(*x));

	if (x == NULL) {
		imap_ok(s, "%s", done);
		return;
	}
	s->share->told = false;
	if (s->share->ops->tell(s->share->arg) == -1) {
		free(x);
		imap_ok(s, "%s", done);
		return;
	}
	x->task.step = tell_step;
	x->task.free = tell_free;
	x->done = done;
	x->since = imap_share_now();
	imap_set_task(s, &x->task);
}

void
imap_cmd_setacl(struct imap *s, struct imap_args *a)
{
	char name[STORE_NAME_MAX + 1], who[ACL_IDENTIFIER_MAX + 1];
	struct imap_str v, letters;
	unsigned int rights, old;
	const char *no;
	char op = '\0';

	if (imap_sp(a) == -1 || imap_mailbox(s, a, name, &no) == -1 ||
	    identifier(s, a, &v, who) == -1 || imap_sp(a) == -1 ||
	    imap_astring(a, &letters) == -1 || imap_end(a) == -1)
		return;
	if (letters.len > 0 && (letters.s[0] == '+' || letters.s[0] == '-')) {
		op = letters.s[0];
		letters.s++;
		letters.len--;
	}
	if (acl_rights_parse(letters.s, letters.len, &rights) == -1) {
		imap_fail(a, "Unknown right");
		return;
	}
	if (target(s, name, no, ACL_ADMIN) == -1)
		return;
	if (is_owner(s, who)) {
		if (who[0] != '-' && op != '-' && (op == '+' || rights == ACL_ALL))
			imap_ok(s, "SETACL completed");
		else
			imap_no(s, "[CANNOT] The owner has all rights");
		return;
	}
	old = acl_get(list_of(s, name), who);
	if (op == '+')
		rights |= old;
	else if (op == '-')
		rights = old & ~rights;
	change(s, name, who, rights, "SETACL completed");
}

void
imap_cmd_deleteacl(struct imap *s, struct imap_args *a)
{
	char name[STORE_NAME_MAX + 1], who[ACL_IDENTIFIER_MAX + 1];
	struct imap_str v;
	const char *no;

	if (imap_sp(a) == -1 || imap_mailbox(s, a, name, &no) == -1 ||
	    identifier(s, a, &v, who) == -1 || imap_end(a) == -1 ||
	    target(s, name, no, ACL_ADMIN) == -1)
		return;
	if (is_owner(s, who))
		imap_no(s, "[CANNOT] The owner has all rights");
	else
		change(s, name, who, 0, "DELETEACL completed");
}

void
imap_cmd_getacl(struct imap *s, struct imap_args *a)
{
	char name[STORE_NAME_MAX + 1];
	const struct acl *list;
	const char *no;

	if (imap_sp(a) == -1 || imap_mailbox(s, a, name, &no) == -1 ||
	    imap_end(a) == -1 || target(s, name, no, ACL_ADMIN) == -1)
		return;
	list = list_of(s, name);
	evbuffer_add_printf(s->out, "* ACL ");
	imap_print_mailbox(s, name);
	evbuffer_add(s->out, " ", 1);
	imap_print_string(s->out, owner(s), strlen(owner(s)));
	print_rights(s, ACL_ALL);
	for (size_t i = 0; i < list->n; i++) {
		evbuffer_add(s->out, " ", 1);
		imap_print_string(
		    s->out, list->v[i].identifier, strlen(list->v[i].identifier));
		print_rights(s, list->v[i].rights);
	}
	evbuffer_add(s->out, "\r\n", 2);
	imap_ok(s, "GETACL completed");
}

void
imap_cmd_listrights(struct imap *s, struct imap_args *a)
{
	char name[STORE_NAME_MAX + 1], who[ACL_IDENTIFIER_MAX + 1], *shown;
	struct imap_str v;
	const char *no;

	if (imap_sp(a) == -1 || imap_mailbox(s, a, name, &no) == -1 ||
	    identifier(s, a, &v, who) == -1 || imap_end(a) == -1 ||
	    target(s, name, no, ACL_ADMIN) == -1)
		return;
	if ((shown = strndup(v.s, v.len)) == NULL) {
		imap_no(s, "[UNAVAILABLE] Out of memory");
		return;
	}
	evbuffer_add_printf(s->out, "* LISTRIGHTS ");
	imap_print_mailbox(s, name);
	evbuffer_add(s->out, " ", 1);
	imap_print_string(s->out, shown, strlen(shown));
	if (is_owner(s, who))
		print_rights(s, ACL_ALL);
	else
		evbuffer_add_printf(s->out, " \"\" l r s w i p k x t e c d a");
	evbuffer_add(s->out, "\r\n", 2);
	imap_ok(s, "LISTRIGHTS completed");
	free(shown);
}

void
imap_print_myrights(struct imap *s, const char *name)
{
	evbuffer_add_printf(s->out, "* MYRIGHTS ");
	imap_print_mailbox(s, name);
	print_rights(s, imap_rights(s, name));
	evbuffer_add(s->out, "\r\n", 2);
}

void
imap_cmd_myrights(struct imap *s, struct imap_args *a)
{
	char name[STORE_NAME_MAX + 1];
	const char *no;

	if (imap_sp(a) == -1 || imap_mailbox(s, a, name, &no) == -1 || imap_end(a) == -1)
		return;
	if (no == NULL && (imap_rights(s, name) & ACL_KNOWN) == 0)
		no = "[NONEXISTENT] No such mailbox or message";
	if (target(s, name, no, 0) == -1)
		return;
	imap_print_myrights(s, name);
	imap_ok(s, "MYRIGHTS completed");
}
