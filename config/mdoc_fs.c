/* danegate-mdoc [--write] PAGE: checks that the list of settings in the manual
 * page, between its two marker lines, is what the schema gives, or writes it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"

static const char begin_mark[] = ".\\\" settings begin\n";
static const char end_mark[] = ".\\\" settings end\n";

static char *read_page(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);
	if (f == NULL || text == NULL) {
		free(text);
		if (f != NULL)
			(void)fclose(f);
		return NULL;
	}
	size_t len = fread(text, 1, (1 << 20) - 1, f);
	text[len] = '\0';
	(void)fclose(f);
	return text;
}

static int write_page(const char *path, struct slice head, struct slice list, const char *tail)
{
	FILE *f = fopen(path, "w");
	if (f == NULL)
		return 1;
	(void)fwrite(head.p, 1, head.len, f);
	(void)fwrite(list.p, 1, list.len, f);
	(void)fputs(tail, f);
	return fclose(f) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	bool write = argc == 3 && strcmp(argv[1], "--write") == 0;
	if (argc != 2 && !write) {
		(void)fprintf(stderr, "usage: %s [--write] danegate.yaml.5\n", argv[0]);
		return 2;
	}
	const char *path = argv[argc - 1];
	char *page = read_page(path);
	char *begin = page == NULL ? NULL : strstr(page, begin_mark);
	char *end = begin == NULL ? NULL : strstr(begin, end_mark);
	struct bytes list = { 0 };
	int status = 1;
	if (end == NULL || schema_print_mdoc(&list) != EC_OK) {
		(void)fprintf(stderr, "%s: cannot be read, or has no marker lines\n", path);
		goto out;
	}
	begin += sizeof begin_mark - 1;
	if (write)
		status = write_page(path, slice_of(page, (size_t)(begin - page)), bytes_slice(&list), end);
	else
		status = slice_eq(slice_of(begin, (size_t)(end - begin)), bytes_slice(&list)) ? 0 : 1;
	if (status != 0)
		(void)fprintf(stderr, "%s: the list of settings is not the schema's; run: %s --write %s\n", path, argv[0],
		              path);
out:
	bytes_fini(&list);
	free(page);
	return status;
}
