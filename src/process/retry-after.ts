/** `Retry-After`, in seconds or as a date: RFC 9110 §10.2.3. @returns milliseconds from now; 0 when nothing is asked for. */
export function parseRetryAfter(header: string | undefined, now: number): number {
  const text = header?.trim() ?? '';
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? 0 : Math.max(0, date - now);
}
