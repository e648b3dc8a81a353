/* SPDX-License-Identifier: ISC */
/* Root's word on who else may do what with folders; see admin.h. */
#include <stdlib.h>
#include <string.h>

#include "common/channel.h"
#include "common/compat/compat.h"
#include "common/log.h"
#include "mailbox/acl.h"
#include "mailbox/admin.h"
#include "mailbox/shares.h"

static int
row(struct channel *ch, uint64_t request, const char *folder, const struct acl_entry *e)
{
	struct msg_acl_row r = { .folder = "" };

	(void)strlcpy(r.folder, folder, sizeof(r.folder));
	(void)strlcpy(r.identifier, e->identifier, sizeof(r.identifier));
	acl_rights_print(e->rights, false, r.rights);
	return channel_send(ch, MSG_MAILBOX_MBOXD_ACL_ROW, request, &r, -1);
}

static enum store_error
list(struct channel *ch, uint64_t request, struct store *store, const char *pattern)
{
	struct folder_info *f;
	enum store_error error;
	size_t n;

	if ((error = task_folders(store, pattern, &f, &n)) != STORE_OK)
		return error;
	for (size_t i = 0; i < n && error == STORE_OK; i++) {
		const struct acl *a = store_acl(store, f[i].name);

		for (size_t k = 0; a != NULL && k < a->n && error == STORE_OK; k++)
			if (row(ch, request, f[i].name, &a->v[k]) == -1)
				error = STORE_LIMIT;
	}
	free(f);
	return error;
}

/* NULL, or what is wrong. */
static const char *
change(struct store *store, const struct msg_acl *q, enum store_error *error)
{
	char who[ACL_IDENTIFIER_MAX + 1];
	const struct acl *old = store_acl(store, q->folder);
	unsigned int rights = 0, had;
	const char *letters = q->rights;
	struct acl a = { 0 };

	if (acl_identifier(
		q->identifier, strlen(q->identifier), q->domain, who, sizeof(who)) == -1)
		return "not an identifier: an address, $GROUP or anyone is meant";
	had = old == NULL ? 0 : acl_get(old, who);
	if (q->verb == ACL_VERB_SET) {
		char op = *letters == '+' || *letters == '-' ? *letters++ : '\0';

		if (acl_rights_parse(letters, strlen(letters), &rights) == -1)
			return "unknown right: they are l r s w i p k x t e a";
		rights = op == '+' ? had | rights : op == '-' ? had & ~rights : rights;
	} else if (had == 0)
		return "there is no such entry";
	if ((old != NULL && acl_copy(old, &a) == -1) || acl_set(&a, who, rights) == -1)
		*error = STORE_LIMIT;
	else
		*error = store_acl_set(store, q->folder, &a);
	acl_clear(&a);
	if (*error == STORE_OK)
		log_fact(LOG_HOST, LOGL_INFO, "mailbox-acl", KS("folder", q->folder),
		    KS("identifier", who), KS("rights", q->rights));
	return NULL;
}

void
acl_answer(
    struct channel *ch, uint64_t request, struct store *store, const struct msg_acl *q)
{
	struct msg_acl_done d = { .status = MSG_OK };
	enum store_error error = STORE_OK;
	const char *wrong = NULL;

	if (q->verb == ACL_VERB_LIST)
		error = list(ch, request, store, q->folder);
	else {
		wrong = change(store, q, &error);
		shares_tell(store);
	}
	if (wrong != NULL || error != STORE_OK) {
		d.status = MSG_PERM;
		(void)strlcpy(d.text, wrong != NULL ? wrong : store_error_text(error),
		    sizeof(d.text));
	}
	(void)channel_send(ch, MSG_MAILBOX_MBOXD_ACL_DONE, request, &d, -1);
}
