/* Replays a corpus: gives each file of each folder named on the command line
 * to the fuzz target once. The stand-in for libFuzzer in ordinary builds. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	if (f == NULL || fstat(fileno(f), &st) != 0) {
		perror(path);
		if (f != NULL)
			fclose(f);
		return -1;
	}
	/* Exactly as long as the file, so that a sanitizer sees one octet too far. */
	uint8_t *data = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
	size_t len = data == NULL ? 0 : fread(data, 1, (size_t)st.st_size, f);
	fclose(f);
	if (data == NULL || len != (size_t)st.st_size) {
		fprintf(stderr, "%s: can't read it whole\n", path);
		free(data);
		return -1;
	}
	(void)LLVMFuzzerTestOneInput(data, len);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	int num = 0;
	for (int i = 1; i < argc; i++) {
		DIR *d = opendir(argv[i]);
		if (d == NULL) {
			perror(argv[i]);
			return 1;
		}
		for (struct dirent *e; (e = readdir(d)) != NULL;) {
			char path[4096];
			if (e->d_name[0] == '.')
				continue;
			if (snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name) >= (int)sizeof path || replay_file(path) != 0)
				return 1;
			num++;
		}
		closedir(d);
	}
	/* An empty corpus proves nothing, so it is a failure. */
	printf("%d inputs replayed\n", num);
	return num > 0 ? 0 : 1;
}
