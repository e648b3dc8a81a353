/* SPDX-License-Identifier: ISC */
/* STATUS (RFC 9051, 6.3.11) with SIZE (RFC 8438), APPENDLIMIT (RFC 7889), HIGHESTMODSEQ
 * (RFC 7162), MAILBOXID (RFC 8474), DELETED-STORAGE (RFC 9208). */
#include <event2/buffer.h>

#include "common/imap/imap_capability.h"
#include "mailbox/imap.h"
#include "mailbox/imap_rights.h"
#include "mailbox/imap_status.h"

static const char *const names[] = { "MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY",
	"UNSEEN", "SIZE", "APPENDLIMIT", "HIGHESTMODSEQ", "MAILBOXID", "DELETED",
	"DELETED-STORAGE" };
#define N_NAMES (sizeof(names) / sizeof(names[0]))

void
imap_status_print_items(struct evbuffer *out, unsigned int items)
{
	const char *sp = "(";

	for (size_t i = 0; i < N_NAMES; i++)
		if (items & 1u << i) {
			evbuffer_add_printf(out, "%s%s", sp, names[i]);
			sp = " ";
		}
	evbuffer_add(out, ")", 1);
}

int
imap_status_parse(struct imap_args *a, unsigned int *set)
{
	const size_t n = N_NAMES;
	struct imap_str v;

	*set = 0;
	if (imap_char(a, '(') == -1)
		return -1;
	do {
		size_t i;

		if (imap_atom(a, &v) == -1)
			return -1;
		for (i = 0; i < n; i++)
			if (imap_str_is(&v, names[i]))
				break;
		if (i == n)
			return imap_fail(a, "Unknown STATUS item");
		*set |= 1u << i;
	} while (imap_try_char(a, ' '));
	return imap_char(a, ')');
}

static void
print(struct imap *s, const char *name, struct folder *f, unsigned int set)
{
	size_t n = folder_count(f), recent = 0, deleted = 0;
	uint64_t size = 0, storage = 0;
	const char *sp = "";

	if (set & (IMAP_STATUS_RECENT | IMAP_STATUS_DELETED | IMAP_STATUS_SIZE |
		      IMAP_STATUS_DELETED_STORAGE))
		for (size_t i = 0; i < n; i++) {
			const struct message *m = folder_message(f, i);

			recent += m->recent;
			deleted += (m->flags & FLAG_DELETED) != 0;
			storage += m->flags & FLAG_DELETED ? m->size : 0;
			size += m->size;
		}
	evbuffer_add_printf(s->out, "* STATUS ");
	imap_print_mailbox(s, name);
	evbuffer_add_printf(s->out, " (");
#define ITEM(item, fmt, value)                                              \
	if (set & IMAP_STATUS_##item) {                                     \
		evbuffer_add_printf(s->out, "%s" #item " " fmt, sp, value); \
		sp = " ";                                                   \
	}
	ITEM(MESSAGES, "%zu", n)
	ITEM(RECENT, "%zu", recent)
	ITEM(UIDNEXT, "%u", folder_uidnext(f))
	ITEM(UIDVALIDITY, "%u", folder_uidvalidity(f))
	ITEM(UNSEEN, "%zu", folder_unseen(f))
	ITEM(DELETED, "%zu", deleted)
	ITEM(SIZE, "%llu", (unsigned long long)size)
	ITEM(APPENDLIMIT, "%d", IMAP_APPEND_MAX)
	ITEM(HIGHESTMODSEQ, "%llu", (unsigned long long)folder_highestmodseq(f))
	ITEM(MAILBOXID, "(F%s)", folder_id(f))
#undef ITEM
	if (set & IMAP_STATUS_DELETED_STORAGE) /* in KB, as quotas (RFC 9208, 4.1.4) */
		evbuffer_add_printf(s->out, "%sDELETED-STORAGE %llu", sp,
		    (unsigned long long)((storage + 1023) / 1024));
	evbuffer_add_printf(s->out, ")\r\n");
}

enum store_error
imap_status_tell(struct imap *s, const char *name, unsigned int items)
{
	struct folder *f;
	enum store_error e;

	if ((e = imap_open(s, name, ACL_READ, &f)) != STORE_OK)
		return e;
	print(s, name, f, items);
	folder_close(f);
	return STORE_OK;
}

void
imap_cmd_status(struct imap *s, struct imap_args *a)
{
	char name[STORE_NAME_MAX + 1];
	const char *no;
	unsigned int set;
	enum store_error e;

	if (imap_sp(a) == -1 || imap_mailbox(s, a, name, &no) == -1 || imap_sp(a) == -1 ||
	    imap_status_parse(a, &set) == -1 || imap_end(a) == -1)
		return;
	if (no != NULL) {
		imap_no(s, "%s", no);
		return;
	}
	if (set & IMAP_STATUS_HIGHESTMODSEQ)
		imap_use_condstore(s);
	if ((e = imap_status_tell(s, name, set)) != STORE_OK)
		imap_no_store(s, e);
	else
		imap_ok(s, "STATUS completed");
}
