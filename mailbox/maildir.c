/* SPDX-License-Identifier: ISC */
/* Names of messages and folders in a Maildir++ tree; see maildir.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"
#include "mailbox/maildir.h"
#include "mailbox/store.h"

static const struct {
	char letter;
	uint8_t flag;
} letters[] = {
	{ 'D', FLAG_DRAFT },
	{ 'F', FLAG_FLAGGED },
	{ 'R', FLAG_ANSWERED },
	{ 'S', FLAG_SEEN },
	{ 'T', FLAG_DELETED },
};
#define N_LETTERS (sizeof(letters) / sizeof(letters[0]))

/* A number of at most max digits' value up to limit; *p moves behind it. false: none. */
static bool
number(const char **p, const char *end, unsigned int radix, uint64_t limit, uint64_t *v)
{
	const char *s = *p;
	uint64_t n = 0;
	unsigned int d;

	for (; s < end; s++) {
		if (*s >= '0' && *s <= '9')
			d = (unsigned int)(*s - '0');
		else if (radix == 16 && *s >= 'a' && *s <= 'f')
			d = (unsigned int)(*s - 'a') + 10;
		else
			break;
		if (n > (limit - d) / radix)
			return false;
		n = n * radix + d;
	}
	if (s == *p)
		return false;
	*p = s;
	*v = n;
	return true;
}

static void
parse_token(const char *p, const char *end, struct maildir_name *m)
{
	uint64_t a, b;
	char kind;

	if (end - p < 3 || p[1] != '=')
		return;
	kind = p[0];
	p += 2;
	switch (kind) {
	case 'S':
	case 'W':
		if (!number(&p, end, 10, UINT64_MAX, &a) || p != end)
			return;
		if (kind == 'S')
			m->size = a;
		else
			m->crlf_size = a;
		break;
	case 'U':
		if (!number(&p, end, 10, UINT32_MAX, &a) || a == 0 || p == end ||
		    *p++ != '-' || !number(&p, end, 16, UINT32_MAX, &b) || p != end)
			return;
		m->has_uid = true;
		m->uid = (uint32_t)a;
		m->uidvalidity = (uint32_t)b;
		break;
	case 'D':
		if (!number(&p, end, 16, UINT64_MAX, &a) || p == end || *p++ != '-' ||
		    !number(&p, end, 16, UINT32_MAX, &b) || p != end)
			return;
		m->has_delivery = true;
		m->queue_id = a;
		m->rcpt = (uint32_t)b;
		break;
	default:
		break;
	}
}

void
maildir_name_parse(const char *name, struct maildir_name *m)
{
	const char *info = strstr(name, ":2,");
	const char *end, *p;

	memset(m, 0, sizeof(*m));
	m->base_len = info != NULL ? (size_t)(info - name) : strcspn(name, ":");
	end = name + m->base_len;
	m->unique_len = strcspn(name, ",:");
	for (p = name + m->unique_len; p < end;) {
		const char *next = memchr(p + 1, ',', (size_t)(end - p - 1));

		if (next == NULL)
			next = end;
		parse_token(p + 1, next, m);
		p = next;
	}
	if (info == NULL)
		return;
	for (p = info + 3; *p != '\0'; p++) {
		for (size_t i = 0; i < N_LETTERS; i++)
			if (*p == letters[i].letter)
				m->flags |= letters[i].flag;
		if (*p >= 'a' && *p <= 'z')
			m->keywords |= 1u << (*p - 'a');
	}
}

size_t
maildir_flags_print(uint8_t flags, uint64_t keywords, char *out)
{
	size_t n = 3;

	memcpy(out, ":2,", 3);
	for (size_t i = 0; i < N_LETTERS; i++)
		if (flags & letters[i].flag)
			out[n++] = letters[i].letter;
	for (unsigned int i = 0; i < 26; i++)
		if (keywords & (UINT64_C(1) << i))
			out[n++] = (char)('a' + i);
	out[n] = '\0';
	return n;
}

int
maildir_name_print(
    const char *unique, size_t unique_len, const struct maildir_name *m, char *out)
{
	char flags[MAILDIR_FLAGS_SIZE], crlf[32] = "", uid[40] = "", delivery[48] = "";
	int n;

	if (unique_len > MAILDIR_NAME_MAX)
		return -1;
	maildir_flags_print(m->flags, m->keywords, flags);
	if (m->crlf_size != 0)
		(void)snprintf(crlf, sizeof(crlf), ",W=%" PRIu64, m->crlf_size);
	if (m->has_uid)
		(void)snprintf(
		    uid, sizeof(uid), ",U=%" PRIu32 "-%" PRIx32, m->uid, m->uidvalidity);
	if (m->has_delivery)
		(void)snprintf(delivery, sizeof(delivery), ",D=%" PRIx64 "-%" PRIx32,
		    m->queue_id, m->rcpt);
	n = snprintf(out, MAILDIR_NAME_MAX + 1, "%.*s,S=%" PRIu64 "%s%s%s%s",
	    (int)unique_len, unique, m->size, crlf, uid, delivery, flags);
	return n < 0 || n > MAILDIR_NAME_MAX ? -1 : 0;
}

void
maildir_unique(char *out, size_t cap)
{
	static char host[64];
	static unsigned int counter;
	struct timeval tv;

	if (host[0] == '\0') {
		if (gethostname(host, sizeof(host)) == -1 || host[0] == '\0')
			(void)strlcpy(host, "localhost", sizeof(host));
		host[sizeof(host) - 1] = '\0';
		for (char *p = host; *p != '\0'; p++)
			if (*p == '/' || *p == ':' || *p == ',' ||
			    (unsigned char)*p <= ' ')
				*p = '_';
	}
	gettimeofday(&tv, NULL);
	(void)snprintf(out, cap, "%lld.M%06ldP%ldQ%u.%s", (long long)tv.tv_sec,
	    (long)tv.tv_usec, (long)getpid(), ++counter, host);
}

int
maildir_folder_canonical(const char *name, char *out, size_t cap)
{
	size_t len = strlen(name);

	if (len == 0 || len > STORE_NAME_MAX || len >= cap || !utf8_valid(name, len))
		return -1;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return -1;
		if (name[i] == '/' && (i == 0 || i + 1 == len || name[i + 1] == '/'))
			return -1;
	}
	memcpy(out, name, len + 1);
	if (ascii_equal(name, strcspn(name, "/"), "inbox"))
		memcpy(out, "INBOX", 5);
	return 0;
}

/* The maildir++ separator inside a part of a name. */
#define DOT "&AC4-"
#define DOT_LEN 5

int
maildir_folder_dir(const char *name, char *out, size_t cap)
{
	char part[STORE_NAME_MAX * 3 + 8];
	size_t n = 0;
	int len;

	if (strcmp(name, "INBOX") == 0)
		return strlcpy(out, ".", cap) < cap ? 0 : -1;
	for (;;) {
		size_t in = strcspn(name, "/");

		if ((len = utf7_from_utf8(name, in, part, sizeof(part))) == -1)
			return -1;
		if (n + 1 >= cap)
			return -1;
		out[n++] = '.';
		for (int i = 0; i < len; i++) {
			if (n + DOT_LEN + 1 >= cap)
				return -1;
			if (part[i] == '.') {
				memcpy(out + n, DOT, DOT_LEN);
				n += DOT_LEN;
			} else
				out[n++] = part[i];
		}
		if (name[in] == '\0')
			break;
		name += in + 1;
	}
	out[n] = '\0';
	return n > MAILDIR_NAME_MAX ? -1 : 0;
}

int
maildir_folder_name(const char *dir, char *out, size_t cap)
{
	char part[MAILDIR_NAME_MAX + 1], again[MAILDIR_NAME_MAX + 1],
	    name[MAILDIR_NAME_MAX * 3 + 8];
	const char *whole = dir;
	size_t n = 0, m;
	int len;

	if (dir[0] != '.' || strlen(dir) > MAILDIR_NAME_MAX)
		return -1;
	if (dir[1] == '\0')
		return strlcpy(out, "INBOX", cap) < cap ? 0 : -1;
	while (*dir == '.') {
		size_t in = strcspn(dir + 1, ".");

		m = 0;
		for (size_t i = 0; i < in; i++) {
			if (in - i >= DOT_LEN && memcmp(dir + 1 + i, DOT, DOT_LEN) == 0) {
				part[m++] = '.';
				i += DOT_LEN - 1;
			} else
				part[m++] = dir[1 + i];
		}
		if (n > 0)
			name[n++] = '/';
		len = utf7_to_utf8(part, m, name + n, sizeof(name) - n);
		if (len <= 0 || memchr(name + n, '/', (size_t)len) != NULL)
			return -1;
		n += (size_t)len;
		dir += 1 + in;
		if (n + 8 >= sizeof(name))
			return -1;
	}
	name[n] = '\0';
	/* Only what we would write ourselves: one name, one directory. */
	if (maildir_folder_canonical(name, out, cap) == -1 || strcmp(out, "INBOX") == 0 ||
	    maildir_folder_dir(out, again, sizeof(again)) == -1)
		return -1;
	return strcmp(again, whole) == 0 ? 0 : -1;
}
