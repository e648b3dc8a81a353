/* SPDX-License-Identifier: ISC */
/* Access control lists, without files; see acl.h. */
#include "mailbox/acl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/compat/compat.h"
#include "common/proto/encoding.h"

static const char letters[] = "lrswipkxtea";
#define MADE_C (ACL_CREATE | ACL_REMOVE)
#define MADE_D (ACL_DELETED | ACL_EXPUNGE)

void
acl_clear(struct acl *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i].identifier);
	free(a->v);
	a->v = NULL;
	a->n = 0;
}

/* Where it stands, or should. */
static size_t
place(const struct acl *a, const char *identifier, bool *found)
{
	size_t i = 0;
	int c = -1;

	while (i < a->n && (c = strcmp(a->v[i].identifier, identifier)) < 0)
		i++;
	*found = i < a->n && c == 0;
	return i;
}

int
acl_set(struct acl *a, const char *identifier, unsigned int rights)
{
	struct acl_entry *v;
	bool found;
	size_t i = place(a, identifier, &found);
	char *copy;

	if (found && rights != 0) {
		a->v[i].rights = rights;
		return 0;
	}
	if (found) {
		free(a->v[i].identifier);
		a->n--;
		memmove(a->v + i, a->v + i + 1, (a->n - i) * sizeof(*a->v));
		return 0;
	}
	if (rights == 0)
		return 0;
	if (a->n == ACL_ENTRIES_MAX ||
	    (v = reallocarray(a->v, a->n + 1, sizeof(*v))) == NULL)
		return -1;
	a->v = v;
	if ((copy = strdup(identifier)) == NULL)
		return -1;
	memmove(v + i + 1, v + i, (a->n - i) * sizeof(*v));
	v[i] = (struct acl_entry){ copy, rights };
	a->n++;
	return 0;
}

unsigned int
acl_get(const struct acl *a, const char *identifier)
{
	bool found;
	size_t i = place(a, identifier, &found);

	return found ? a->v[i].rights : 0;
}

int
acl_copy(const struct acl *from, struct acl *to)
{
	for (size_t i = 0; i < from->n; i++)
		if (acl_set(to, from->v[i].identifier, from->v[i].rights) == -1)
			return -1;
	return 0;
}

static bool
is_of(const char *identifier, char *const *identifiers, size_t n)
{
	if (strcmp(identifier, "anyone") == 0 || strcmp(identifier, "authenticated") == 0)
		return true;
	for (size_t i = 0; i < n; i++)
		if (strcmp(identifiers[i], identifier) == 0)
			return true;
	return false;
}

unsigned int
acl_rights(const struct acl *a, char *const *identifiers, size_t n)
{
	unsigned int given = 0, taken = 0;

	for (size_t i = 0; i < a->n; i++) {
		const struct acl_entry *e = &a->v[i];
		bool minus = e->identifier[0] == '-';

		if (!is_of(e->identifier + minus, identifiers, n))
			continue;
		if (minus)
			taken |= e->rights;
		else
			given |= e->rights;
	}
	return given & ~taken;
}

static int
read_rights(
    const char *s, size_t len, unsigned int c, unsigned int d, unsigned int *rights)
{
	*rights = 0;
	for (size_t i = 0; i < len; i++) {
		const char *p = s[i] == '\0' ? NULL : strchr(letters, s[i]);

		if (s[i] == 'c')
			*rights |= c;
		else if (s[i] == 'd')
			*rights |= d;
		else if (p != NULL)
			*rights |= 1u << (p - letters);
		else
			return -1;
	}
	return 0;
}

int
acl_rights_parse(const char *s, size_t len, unsigned int *rights)
{
	return read_rights(s, len, MADE_C, MADE_D, rights);
}

int
acl_rights_told(const char *s, size_t len, unsigned int *rights)
{
	return read_rights(s, len, 0, 0, rights);
}

void
acl_rights_print(unsigned int rights, bool virtual_too, char out[ACL_RIGHTS_SIZE])
{
	size_t n = 0;

	for (size_t i = 0; letters[i] != '\0'; i++) {
		if (letters[i] == 'a' && virtual_too && (rights & MADE_C))
			out[n++] = 'c';
		if (letters[i] == 'a' && virtual_too && (rights & MADE_D))
			out[n++] = 'd';
		if (rights & 1u << i)
			out[n++] = letters[i];
	}
	out[n] = '\0';
}

static int
group(const char *s, size_t len, char *out, size_t cap)
{
	if (len < 2 || len >= cap)
		return -1;
	for (size_t i = 1; i < len; i++)
		if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] == 0x7f)
			return -1;
	memcpy(out, s, len);
	out[len] = '\0';
	return 0;
}

int
acl_identifier(const char *s, size_t len, const char *domain, char *out, size_t cap)
{
	char address[ADDRESS_MAX + 1];
	struct address a;

	if (len > 0 && s[0] == '-') {
		if (len == 1 || cap < 2)
			return -1;
		*out = '-';
		return s[1] == '-'
			   ? -1
			   : acl_identifier(s + 1, len - 1, domain, out + 1, cap - 1);
	}
	if (len == 0 || memchr(s, '\0', len) != NULL || memchr(s, '\n', len) != NULL)
		return -1;
	if (len < cap &&
	    (ascii_equal(s, len, "anyone") || ascii_equal(s, len, "authenticated"))) {
		for (size_t i = 0; i < len; i++)
			out[i] = (char)ascii_lower(s[i]);
		out[len] = '\0';
		return 0;
	}
	if (s[0] == '$')
		return group(s, len, out, cap);
	if (len + strlen(domain) + 2 > sizeof(address))
		return -1;
	memcpy(address, s, len);
	address[len] = '\0';
	if (memchr(s, '@', len) == NULL) {
		(void)strlcat(address, "@", sizeof(address));
		(void)strlcat(address, domain, sizeof(address));
	}
	/* A quote within would make it another one when it is written again. */
	if (address_parse(address, strlen(address), &a) == -1 ||
	    address_fold_key(&a, out, cap) == -1 || strpbrk(out, "\n\"\\") != NULL)
		return -1;
	return 0;
}

char *
acl_print(const struct acl *a, size_t *len)
{
	size_t cap = 1, n = 0;
	char *text;

	for (size_t i = 0; i < a->n; i++)
		cap += strlen(a->v[i].identifier) + ACL_RIGHTS_SIZE + 2;
	if ((text = malloc(cap)) == NULL)
		return NULL;
	text[0] = '\0';
	for (size_t i = 0; i < a->n; i++) {
		char rights[ACL_RIGHTS_SIZE];

		acl_rights_print(a->v[i].rights, false, rights);
		n += (size_t)snprintf(
		    text + n, cap - n, "%s %s\n", rights, a->v[i].identifier);
	}
	*len = n;
	return text;
}

static int
parse_line(const char *s, size_t len, struct acl *a)
{
	char identifier[ACL_IDENTIFIER_MAX + 1];
	const char *sp = memchr(s, ' ', len);
	unsigned int rights;

	if (sp == NULL || acl_rights_parse(s, (size_t)(sp - s), &rights) == -1 ||
	    rights == 0)
		return 0;
	len -= (size_t)(sp - s) + 1;
	/* It was canonical when it was written. */
	if (len == 0 || len >= sizeof(identifier))
		return 0;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)sp[i + 1] < ' ' || sp[i + 1] == 0x7f)
			return 0;
	memcpy(identifier, sp + 1, len);
	identifier[len] = '\0';
	return acl_set(a, identifier, rights) == -1 && a->n < ACL_ENTRIES_MAX ? -1 : 0;
}

int
acl_parse(const char *s, size_t len, struct acl *a)
{
	while (len > 0) {
		const char *nl = memchr(s, '\n', len);
		size_t n = nl == NULL ? len : (size_t)(nl - s);

		if (parse_line(s, n, a) == -1)
			return -1;
		if (nl == NULL)
			break;
		s += n + 1;
		len -= n + 1;
	}
	return 0;
}
