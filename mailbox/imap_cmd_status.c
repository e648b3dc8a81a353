/* SPDX-License-Identifier: ISC */
/* STATUS (RFC 3501, 6.3.10) with SIZE (RFC 8438) and APPENDLIMIT (RFC 7889). */
#include <event2/buffer.h>

#include "common/imap/imap_capability.h"
#include "mailbox/imap.h"

enum {
	MESSAGES = 1,
	RECENT = 2,
	UIDNEXT = 4,
	UIDVALIDITY = 8,
	UNSEEN = 16,
	SIZE = 32,
	APPENDLIMIT = 64
};

static int
items(struct imap_args *a, unsigned int *set)
{
	static const char *const names[] = { "MESSAGES", "RECENT", "UIDNEXT",
		"UIDVALIDITY", "UNSEEN", "SIZE", "APPENDLIMIT" };
	struct imap_str v;

	*set = 0;
	if (imap_char(a, '(') == -1)
		return -1;
	do {
		size_t i;

		if (imap_atom(a, &v) == -1)
			return -1;
		for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (imap_str_is(&v, names[i]))
				break;
		if (i == sizeof(names) / sizeof(names[0]))
			return imap_fail(a, "Unknown STATUS item");
		*set |= 1u << i;
	} while (imap_try_char(a, ' '));
	return imap_char(a, ')');
}

static void
print(struct imap *s, const char *name, struct folder *f, unsigned int set)
{
	size_t n = folder_count(f), recent = 0;
	uint64_t size = 0;
	const char *sp = "";

	for (size_t i = 0; i < n; i++) {
		recent += folder_message(f, i)->recent;
		size += folder_message(f, i)->size;
	}
	evbuffer_add_printf(s->out, "* STATUS ");
	imap_print_mailbox(s->out, name);
	evbuffer_add_printf(s->out, " (");
#define ITEM(bit, fmt, value)                                              \
	if (set & (bit)) {                                                 \
		evbuffer_add_printf(s->out, "%s" #bit " " fmt, sp, value); \
		sp = " ";                                                  \
	}
	ITEM(MESSAGES, "%zu", n)
	ITEM(RECENT, "%zu", recent)
	ITEM(UIDNEXT, "%u", folder_uidnext(f))
	ITEM(UIDVALIDITY, "%u", folder_uidvalidity(f))
	ITEM(UNSEEN, "%zu", folder_unseen(f))
	ITEM(SIZE, "%llu", (unsigned long long)size)
	ITEM(APPENDLIMIT, "%d", IMAP_APPEND_MAX)
#undef ITEM
	evbuffer_add_printf(s->out, ")\r\n");
}

void
imap_cmd_status(struct imap *s, struct imap_args *a)
{
	char name[STORE_NAME_MAX + 1];
	const char *no;
	unsigned int set;
	struct folder *f;
	enum store_error e;

	if (imap_sp(a) == -1 || imap_mailbox(a, name, &no) == -1 || imap_sp(a) == -1 ||
	    items(a, &set) == -1 || imap_end(a) == -1)
		return;
	if (no != NULL) {
		imap_no(s, "%s", no);
		return;
	}
	if ((e = folder_open(s->store, name, &f)) != STORE_OK) {
		imap_no_store(s, e);
		return;
	}
	folder_refresh(f);
	print(s, name, f, set);
	folder_close(f);
	imap_ok(s, "STATUS completed");
}
