/**
 * Kubernetes' MicroTime: RFC 3339 in UTC with exactly six digits of a second. With three, as Date prints it, the API
 * server answers 400.
 */
export function microTime(millisecondsSinceEpoch: number): string {
  return new Date(millisecondsSinceEpoch).toISOString().replace('Z', '000Z');
}
