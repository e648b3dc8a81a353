/* SPDX-License-Identifier: ISC */
/* Flags that are changed and messages that are expunged: in the log first, then in
 * memory.
 */
#include "mailbox/store_int.h"

struct change {
	size_t i;
	uint64_t keywords;
	uint8_t flags;
};

enum store_error
folder_store(struct folder *f, const uint32_t *uids, size_t n, enum flag_op op,
    uint8_t flags, uint64_t keywords, uint64_t unchanged_since, uint32_t *failed,
    size_t *n_failed, size_t *changed)
{
	const struct flag_mask all = { UINT8_MAX, UINT64_MAX };

	return folder_store_masked(f, uids, n, op, flags, keywords, &all, unchanged_since,
	    failed, n_failed, changed);
}

enum store_error
folder_store_masked(struct folder *f, const uint32_t *uids, size_t n, enum flag_op op,
    uint8_t flags, uint64_t keywords, const struct flag_mask *may,
    uint64_t unchanged_since, uint32_t *failed, size_t *n_failed, size_t *changed)
{
	uint64_t before = 0, after = 0, modseq; /* many have the same */
	bool memo = false;
	struct change *c;
	struct log_record r;
	enum store_error error;
	size_t k = 0;
	int exact;

	if (changed != NULL)
		*changed = 0;
	if (n_failed != NULL)
		*n_failed = 0;
	if (f->gone || f->detached)
		return STORE_NOT_FOUND;
	if (n == 0)
		return STORE_OK;
	if ((error = folder_reserve(f, 0)) != STORE_OK)
		return error;
	if ((c = reallocarray(NULL, n, sizeof(*c))) == NULL)
		return store_errno("STORE");
	modseq = f->modseq + 1;
	log_begin(&r, LOG_FLAGS, f);
	log_u64(&r, modseq);
	for (size_t j = 0; j < n; j++) {
		size_t i = folder_find(f, uids[j], &exact);
		const struct message *m = &f->msgs[i];
		uint8_t nf;
		uint64_t nk;

		if (!exact)
			continue;
		if (unchanged_since != 0 && m->modseq > unchanged_since) {
			if (failed != NULL && n_failed != NULL)
				failed[(*n_failed)++] = m->uid;
			continue;
		}
		nf = op == FLAG_OP_SET   ? flags
		     : op == FLAG_OP_ADD ? (uint8_t)(m->flags | flags)
					 : (uint8_t)(m->flags & ~flags);
		nk = keywords;
		if (op != FLAG_OP_SET && memo && before == m->keywords)
			nk = after;
		else if (op != FLAG_OP_SET) {
			if (folder_keywords_merge(f, m->keywords, keywords,
				op == FLAG_OP_REMOVE, &nk) == -1) {
				free(r.buf);
				free(c);
				return STORE_LIMIT;
			}
			memo = true;
			before = m->keywords;
			after = nk;
		}
		nf = (uint8_t)((m->flags & ~may->flags) | (nf & may->flags));
		nk = (m->keywords & ~may->keywords) | (nk & may->keywords);
		if (nf == m->flags && nk == m->keywords)
			continue;
		c[k++] = (struct change){ i, nk, nf };
		log_u32(&r, m->uid);
		log_u8(&r, nf);
		log_u64(&r, nk);
	}
	if (k == 0)
		free(r.buf);
	else if ((error = log_write(f->store, &r)) == STORE_OK) {
		for (size_t j = 0; j < k; j++)
			folder_apply_flags(
			    f, &f->msgs[c[j].i], c[j].flags, c[j].keywords, modseq);
		if (changed != NULL)
			*changed = k;
	}
	free(c);
	folder_changed(f);
	return error;
}

enum store_error
folder_expunge(struct folder *f, const uint32_t *uids, size_t n, int any, size_t *removed)
{
	struct log_record r;
	enum store_error error;
	uint32_t *list;
	size_t k = 0;

	if (removed != NULL)
		*removed = 0;
	if (f->gone || f->detached)
		return STORE_NOT_FOUND;
	if (n == 0)
		return STORE_OK;
	if ((error = folder_reserve(f, 0)) != STORE_OK)
		return error;
	if ((list = reallocarray(NULL, n, sizeof(*list))) == NULL)
		return store_errno("EXPUNGE");
	log_begin(&r, LOG_EXPUNGE, f);
	log_u64(&r, f->modseq + 1);
	for (size_t j = 0; j < n; j++) {
		const struct message *m = folder_message_by_uid(f, uids[j]);

		if (m == NULL || (!any && (m->flags & FLAG_DELETED) == 0))
			continue;
		list[k++] = m->uid;
		log_u32(&r, m->uid);
	}
	if (k == 0)
		free(r.buf);
	else if ((error = log_write(f->store, &r)) == STORE_OK) {
		folder_remove(f, list, k, f->modseq + 1);
		if (removed != NULL)
			*removed = k;
	}
	free(list);
	folder_changed(f);
	return error;
}
