/* SPDX-License-Identifier: ISC */
/*
 * GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208). A mailbox with a limit has one quota root,
 * "", for all of its folders; limits are set by the administrator only.
 */
#include <event2/buffer.h>
#include <string.h>

#include "common/proto/encoding.h"
#include "mailbox/imap.h"
#include "mailbox/imap_rights.h"

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

/* STORAGE is in units of 1024 octets (RFC 9208, 5.1); what is begun counts. */
static void
tell(struct imap *s)
{
	uint64_t used = store_used(s->store), limit = store_quota(s->store);
	uint64_t messages = store_quota_messages(s->store);

	/* Another user sees it beside his own, which is "". */
	evbuffer_add_printf(s->out, "* QUOTA ");
	imap_print_string(s->out, root(s), strlen(root(s)));
	evbuffer_add(s->out, " (", 2);
	if (limit != 0)
		evbuffer_add_printf(s->out, "STORAGE %llu %llu",
		    (unsigned long long)((used + 1023) / 1024),
		    (unsigned long long)((limit + 1023) / 1024));
	if (messages != 0)
		evbuffer_add_printf(s->out, "%sMESSAGE %llu %llu", limit != 0 ? " " : "",
		    (unsigned long long)store_messages(s->store),
		    (unsigned long long)messages);
	evbuffer_add(s->out, ")\r\n", 3);
}

void
imap_cmd_getquota(struct imap *s, struct imap_args *a)
{
	struct imap_str v;

	if (imap_sp(a) == -1 || imap_astring(a, &v) == -1 || imap_end(a) == -1)
		return;
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

void
imap_cmd_setquota(struct imap *s, struct imap_args *a)
{
	struct imap_str v;
	uint32_t n;

	if (imap_sp(a) == -1 || imap_astring(a, &v) == -1 || imap_sp(a) == -1 ||
	    imap_char(a, '(') == -1)
		return;
	while (!imap_try_char(a, ')'))
		if (imap_atom(a, &v) == -1 || imap_sp(a) == -1 ||
		    imap_number(a, &n) == -1 || (imap_peek(a) != ')' && imap_sp(a) == -1))
			return;
	if (imap_end(a) == 0)
		imap_no(s, "[NOPERM] Limits are the administrator's matter");
}
