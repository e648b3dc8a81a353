/* SPDX-License-Identifier: ISC */
/* LIST and LSUB (RFC 3501, 6.3.8 and 6.3.9) with CHILDREN and SPECIAL-USE attributes. */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"
#include "mailbox/imap.h"

/*
 * Does the name match the pattern? All positions of the name that the pattern so far can
 * reach are kept at once, so that many wildcards cost no more than their product.
 */
static bool
matches(const char *pattern, const char *name)
{
	bool reach[STORE_NAME_MAX + 2] = { true };
	size_t n = strlen(name);
	bool inbox = strcmp(name, "INBOX") == 0;

	for (; *pattern != '\0'; pattern++) {
		bool any = false;

		if (*pattern == '*' || *pattern == '%') {
			for (size_t i = 0; i < n; i++)
				if (reach[i] && (*pattern == '*' || name[i] != '/'))
					reach[i + 1] = true;
			continue;
		}
		for (size_t i = n + 1; i-- > 0;) {
			int c = i > 0 ? name[i - 1] : 0, p = *pattern;

			if (inbox) {
				c = ascii_lower(c);
				p = ascii_lower(p);
			}
			reach[i] = i > 0 && reach[i - 1] && c == p;
			any |= reach[i];
		}
		if (!any)
			return false;
	}
	return reach[n];
}

static void
print(struct imap *s, const char *command, const char *name, uint32_t flags)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} uses[] = {
		{ FOLDER_JUNK, "\\Junk" },
		{ FOLDER_SENT, "\\Sent" },
		{ FOLDER_TRASH, "\\Trash" },
		{ FOLDER_DRAFTS, "\\Drafts" },
		{ FOLDER_ARCHIVE, "\\Archive" },
	};

	evbuffer_add_printf(s->out, "* %s (%s%s", command,
	    flags & FOLDER_NOSELECT ? "\\Noselect " : "",
	    flags & FOLDER_HAS_CHILDREN ? "\\HasChildren" : "\\HasNoChildren");
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		if (flags & uses[i].bit)
			evbuffer_add_printf(s->out, " %s", uses[i].name);
	evbuffer_add_printf(s->out, ") \"/\" ");
	imap_print_mailbox(s->out, name);
	evbuffer_add(s->out, "\r\n", 2);
}

static void
list(struct imap *s, const char *pattern)
{
	struct folder_info *f;
	size_t n;
	enum store_error e = store_list(s->store, &f, &n);

	if (e != STORE_OK) {
		imap_no_store(s, e);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		/* A subscription whose mailbox is gone is LSUB's alone. */
		if ((f[i].flags & FOLDER_NOSELECT) && (f[i].flags & FOLDER_SUBSCRIBED) &&
		    (f[i].flags & FOLDER_HAS_CHILDREN) == 0)
			continue;
		if (matches(pattern, f[i].name))
			print(s, "LIST", f[i].name, f[i].flags);
	}
	free(f);
	imap_ok(s, "LIST completed");
}

static void
lsub(struct imap *s, const char *pattern)
{
	struct folder_info *f;
	size_t n, plen = strlen(pattern);
	enum store_error e = store_list(s->store, &f, &n);
	char told[STORE_NAME_MAX + 1] = "";

	if (e != STORE_OK) {
		imap_no_store(s, e);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		char *name = f[i].name;

		if ((f[i].flags & FOLDER_SUBSCRIBED) == 0)
			continue;
		if (matches(pattern, name)) {
			print(s, "LSUB", name, f[i].flags);
			continue;
		}
		/* "%": a parent that is not subscribed itself stands for its subscribed
		 * children (RFC 3501, 6.3.9). */
		if (plen == 0 || pattern[plen - 1] != '%')
			continue;
		for (char *slash = strrchr(name, '/'); slash != NULL;
		     slash = strrchr(name, '/')) {
			*slash = '\0';
			if (matches(pattern, name)) {
				if (strcmp(told, name) != 0)
					print(s, "LSUB", name,
					    FOLDER_NOSELECT | FOLDER_HAS_CHILDREN);
				strlcpy(told, name, sizeof(told));
				break;
			}
		}
	}
	free(f);
	imap_ok(s, "LSUB completed");
}

static void
run(struct imap *s, struct imap_args *a, bool subscribed)
{
	char wire[STORE_NAME_MAX * 2 + 1], pattern[STORE_NAME_MAX * 2 + 1];
	struct imap_str ref, pat;

	if (imap_sp(a) == -1)
		return;
	if (imap_peek(a) == '(') {
		imap_fail(a, "Extended LIST is not supported");
		return;
	}
	if (imap_astring(a, &ref) == -1 || imap_sp(a) == -1 ||
	    imap_list_mailbox(a, &pat) == -1 || imap_end(a) == -1)
		return;
	if (pat.len == 0 && !subscribed) {
		imap_untagged(s, "LIST (\\Noselect) \"/\" \"\"");
		imap_ok(s, "LIST completed");
		return;
	}
	if (ref.len + pat.len >= sizeof(wire)) {
		imap_no(s, "[CANNOT] Pattern too long");
		return;
	}
	memcpy(wire, ref.s, ref.len);
	memcpy(wire + ref.len, pat.s, pat.len);
	/* What is not a name in modified UTF-7 matches none. */
	if (utf7_to_utf8(wire, ref.len + pat.len, pattern, sizeof(pattern)) == -1)
		imap_ok(s, "%s completed", subscribed ? "LSUB" : "LIST");
	else if (subscribed)
		lsub(s, pattern);
	else
		list(s, pattern);
}

void
imap_cmd_list(struct imap *s, struct imap_args *a)
{
	run(s, a, false);
}

void
imap_cmd_lsub(struct imap *s, struct imap_args *a)
{
	run(s, a, true);
}
