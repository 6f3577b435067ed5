import type { Pattern, Schema, ValidationRule } from './schema.ts';

/** Everything that is checked by a CEL rule at `schema` itself: its pattern, then its own rules. */
export function validationRules(schema: Schema): readonly ValidationRule[] {
  return [...patternRules(schema), ...(schema['x-kubernetes-validations'] ?? [])];
}

function patternRules(schema: Schema): readonly ValidationRule[] {
  if (!('pattern' in schema) || schema.pattern === undefined) return [];
  const { message } = schema.pattern;
  const matches = `matches(${quoted(schema.pattern)})`;
  if ('type' in schema) return [{ rule: `self.${matches}`, message }];
  return [{ rule: `type(self) == int || string(self).${matches}`, message }];
}

function quoted({ expression }: Pattern): string {
  if (expression.includes("'")) throw new Error(`${expression}: a quote would end the string in CEL`);
  // Raw, so that a backslash is the pattern's.
  return `r'${expression}'`;
}
