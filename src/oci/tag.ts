/** A tag such as `latest` or `v1.2`. OCI distribution-spec, "Pulling manifests". */
export type Tag = string & { readonly __brand: 'Tag' };

const SHAPE = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

export function parseTag(text: string): Tag | undefined {
  return SHAPE.test(text) ? (text as Tag) : undefined;
}
