/* SPDX-License-Identifier: ISC */
/* The file of annotations, whatever another program left in it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mailbox/annotations.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct annotations a;

	(void)annotations_parse(data, size, &a);
	if (a.n > ANNOTATIONS_MAX)
		abort();
	for (size_t i = 0; i < a.n; i++)
		if (a.v[i].len > ANNOTATION_VALUE_MAX ||
		    (i > 0 && strcmp(a.v[i - 1].name, a.v[i].name) >= 0))
			abort();
	annotations_clear(&a);
	return 0;
}
