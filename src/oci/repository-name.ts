/** A repository name such as `library/alpine`. OCI distribution-spec, "Pulling manifests". */
export type RepositoryName = string & { readonly __brand: 'RepositoryName' };

const SHAPE = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;

/** Docker's limit, host name included; also keeps every path below a file system's limits. */
const LONGEST = 255;

/** @returns undefined for a name that breaks the grammar or is longer than 255 characters. */
export function parseRepositoryName(text: string): RepositoryName | undefined {
  return text.length <= LONGEST && SHAPE.test(text) ? (text as RepositoryName) : undefined;
}
