const LINK = /<([^>]*)>((?:\s*;\s*[\w*-]+\s*=\s*(?:"[^"]*"|[^\s";,]*))*)/g;
const NEXT = /;\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next(?=[\s;]|$))/i;

/** Where a `Link` header says that the list goes on. RFC 8288; OCI distribution-spec, "Listing Tags". */
export function nextPage(header: string | undefined): string | undefined {
  const links = (header ?? '').matchAll(LINK);
  return links.find(([, , parameters = '']) => NEXT.test(parameters))?.[1];
}
