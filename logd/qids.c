/* SPDX-License-Identifier: ISC */
/*
 * Queue ids of interest, sorted. A fact may name several: its own and those of a
 * bounce or a forward that came out of it, under keys that end in "qid", or "bounce".
 */
#include "logd/qids.h"

#include <stdlib.h>
#include <string.h>

#define QID_LEN_MAX 63

static int
is_qid_key(const struct line_kv *kv)
{
	return (kv->key_len >= 3 && memcmp(kv->key + kv->key_len - 3, "qid", 3) == 0) ||
	       (kv->key_len == 6 && memcmp(kv->key, "bounce", 6) == 0);
}

/* Where the id is; or where it belongs, with *found 0. */
static size_t
place(const struct qids *q, const char *id, int *found)
{
	size_t low = 0, high = q->n;

	*found = 0;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(q->ids[mid], id);

		if (c == 0) {
			*found = 1;
			return mid;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void
qids_clear(struct qids *q)
{
	for (size_t i = 0; i < q->n; i++)
		free(q->ids[i]);
	memset(q, 0, sizeof(*q));
}

void
qids_collect(struct qids *q, const struct line *l)
{
	char id[QID_LEN_MAX + 1];
	struct line_kv kv;
	size_t pos = 0, at;
	int found;

	while (line_kv_next(l, &pos, &kv)) {
		if (!is_qid_key(&kv) || kv.val_len == 0 || kv.val_len > QID_LEN_MAX)
			continue;
		line_value(&kv, id, sizeof(id));
		at = place(q, id, &found);
		if (found)
			continue;
		if (q->n == QIDS_MAX) {
			q->full = 1;
			continue;
		}
		memmove(&q->ids[at + 1], &q->ids[at], (q->n - at) * sizeof(q->ids[0]));
		if ((q->ids[at] = strdup(id)) == NULL) {
			memmove(&q->ids[at], &q->ids[at + 1],
			    (q->n - at) * sizeof(q->ids[0]));
			q->full = 1;
			continue;
		}
		q->n++;
	}
}

int
qids_in_line(const struct qids *q, const struct line *l)
{
	char id[QID_LEN_MAX + 1];
	struct line_kv kv;
	size_t pos = 0;
	int found = 0;

	if (q->n == 0)
		return 0;
	while (!found && line_kv_next(l, &pos, &kv)) {
		if (!is_qid_key(&kv) || kv.val_len > QID_LEN_MAX)
			continue;
		line_value(&kv, id, sizeof(id));
		place(q, id, &found);
	}
	return found;
}
