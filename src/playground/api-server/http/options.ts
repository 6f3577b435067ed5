import type { FieldError, JsonObject } from '../kind.ts';
import { at, notOneOf, text } from '../kinds/read.ts';
import type { Deletion, WriteOptions } from '../objects.ts';
import { badRequest, invalid } from '../status-error.ts';

const MOST_MANAGER_BYTES = 128;
const FIELD_VALIDATION = ['', 'Ignore', 'Strict', 'Warn'];

/**
 * The query of a write. `what` names the options in errors: `CreateOptions`, `UpdateOptions`, `PatchOptions`.
 * @throws {StatusError} 422
 */
export function parseWriteOptions(
  what: 'CreateOptions' | 'UpdateOptions' | 'PatchOptions',
  query: URLSearchParams,
  userAgent: string,
  isApply: boolean,
): Pick<WriteOptions, 'manager' | 'dryRun' | 'fieldValidation'> & { readonly force: boolean } {
  const manager = query.get('fieldManager') ?? '';
  const validation = query.get('fieldValidation') ?? '';
  const force = query.get('force');
  const errors: FieldError[] = [];
  if (isApply && manager === '') {
    errors.push({ type: 'Required', path: 'fieldManager', detail: 'is required for apply patch' });
  }
  if (what === 'PatchOptions' && !isApply && force !== null) {
    errors.push({ type: 'Forbidden', path: 'force', detail: 'may not be specified for non-apply patch' });
  }
  errors.push(...dryRunErrors(query), ...notOneOf('fieldValidation', validation, FIELD_VALIDATION));
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: what }, '', errors);
  return {
    manager: (manager === '' ? (userAgent.split('/')[0] ?? '') : manager).slice(0, MOST_MANAGER_BYTES),
    dryRun: query.getAll('dryRun').includes('All'),
    // One of those above.
    fieldValidation: (validation === '' ? 'Warn' : validation) as WriteOptions['fieldValidation'],
    force: force === 'true' || force === '1',
  };
}

function dryRunErrors(query: URLSearchParams): readonly FieldError[] {
  const values = query.getAll('dryRun').filter((value) => value !== '');
  if (values.every((value) => value === 'All')) return [];
  return [{ type: 'NotSupported', path: 'dryRun', value: values, detail: 'supported values: "All"' }];
}

/** The body of a DELETE, or without one its query. @throws {StatusError} 400, 422 */
export function parseDeletion(
  body: JsonObject | undefined,
  query: URLSearchParams,
): Deletion & { readonly dryRun: boolean } {
  const seconds = query.get('gracePeriodSeconds');
  if (seconds !== null && !/^[+-]?\d+$/.test(seconds)) {
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(seconds)}: invalid syntax`);
  }
  const grace = at(body, 'gracePeriodSeconds') ?? (seconds === null ? undefined : Number(seconds));
  const policy = text(body, 'propagationPolicy') || (query.get('propagationPolicy') ?? '');
  // What belongs to an object goes after it: nobody waits for it, and nothing is left behind.
  const errors = [...notOneOf('propagationPolicy', policy, ['', 'Background']), ...dryRunErrors(query)];
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', errors);
  const dryRun = at(body, 'dryRun');
  return {
    uid: text(body, 'preconditions', 'uid') || undefined,
    resourceVersion: text(body, 'preconditions', 'resourceVersion') || undefined,
    gracePeriodSeconds: typeof grace === 'number' ? grace : undefined,
    dryRun: query.getAll('dryRun').includes('All') || (Array.isArray(dryRun) && dryRun.includes('All')),
  };
}
