/*
 * The languages of domains, see language.h: a small table by hash of the domain.
 *
 * SPDX-License-Identifier: ISC
 */
#include <string.h>
#include <strings.h>

#include "common/compat/compat.h"
#include "common/crc32c.h"
#include "queued/index.h"
#include "queued/internal.h"
#include "queued/language.h"

#define SLOTS 256
#define TIMEOUT_MS 10000

static struct slot {
	char domain[256]; /* lower case; "": free */
	uint64_t request; /* under way */
	enum lang lang;
} slots[SLOTS];

static struct slot *
slot_of(const char *address, char *domain, size_t cap)
{
	size_t len;
	const char *p = index_domain(address, &len);

	if (len == 0 || len >= cap)
		return NULL;
	for (size_t i = 0; i < len; i++)
		domain[i] = (char)(p[i] >= 'A' && p[i] <= 'Z' ? p[i] | 0x20 : p[i]);
	domain[len] = '\0';
	return &slots[crc32c(3, domain, len) % SLOTS];
}

static void
on_answer(struct msg *m, void *arg)
{
	struct slot *s = arg;

	s->request = 0;
	if (m == NULL)
		s->domain[0] = '\0';
	else if (words_lang(m->p.route.language) < LANGS)
		s->lang = words_lang(m->p.route.language);
}

void
language_want(const char *sender)
{
	struct channel *ch = daemon_peer(ROLE_AUTHD);
	struct msg_route_ask p = { "" };
	struct slot *s = slot_of(sender, p.domain, sizeof(p.domain));

	/* One question a slot: the answer refers to it. */
	if (s == NULL || ch == NULL || s->request != 0 ||
	    strcmp(s->domain, p.domain) == 0)
		return;
	strlcpy(s->domain, p.domain, sizeof(s->domain));
	s->lang = LANG_EN;
	s->request =
	    channel_ask(ch, MSG_QUEUED_AUTHD_ROUTE, &p, -1, TIMEOUT_MS, on_answer, s);
	if (s->request == 0)
		s->domain[0] = '\0';
}

enum lang
language_of(const char *sender)
{
	char domain[256];
	const struct slot *s = slot_of(sender, domain, sizeof(domain));

	return s != NULL && strcmp(s->domain, domain) == 0 ? s->lang : LANG_EN;
}

void
language_forget(void)
{
	for (size_t i = 0; i < SLOTS; i++)
		slots[i].domain[0] = '\0';
}
