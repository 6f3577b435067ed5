/**
 * What the patterns of rules mean: `*` stands for anything but a slash, `**` for anything.
 * @param patterns of letters, digits, `.`, `_`, `-`, `/` and `*`, as rules-file.ts checks
 * @returns matches a name that one of the patterns matches as a whole.
 */
export function namePattern(patterns: readonly string[]): RegExp {
  return new RegExp(`^(?:${patterns.map(sourceOf).join('|')})$`);
}

function sourceOf(pattern: string): string {
  return pattern.replace(/\*\*|[*.]/g, (part) =>
    part === '**' ? '.*' : part === '*' ? '[^/]*' : `\\${part}`,
  );
}
