import type { FieldError, JsonObject } from '../kind.ts';
import { at, forbiddenField, notOneOf, required, text } from '../kinds/read.ts';
import type { Deletion, WriteOptions } from '../objects.ts';
import { invalid } from '../status-error.ts';
import { wholeNumber } from './read.ts';

const MOST_MANAGER_BYTES = 128;
const DRY_RUN = ['', 'All'];
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
  const errors: FieldError[] = [
    ...(isApply && manager === '' ? [required('fieldManager', 'is required for apply patch')] : []),
    ...(what === 'PatchOptions' && !isApply && force !== null
      ? [forbiddenField('force', 'may not be specified for non-apply patch')]
      : []),
    ...notOneOf('dryRun', query.get('dryRun') ?? '', DRY_RUN),
    ...notOneOf('fieldValidation', validation, FIELD_VALIDATION),
  ];
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: what }, '', errors);
  return {
    manager: (manager === '' ? (userAgent.split('/')[0] ?? '') : manager).slice(0, MOST_MANAGER_BYTES),
    dryRun: query.get('dryRun') === 'All',
    // One of those above.
    fieldValidation: (validation === '' ? 'Warn' : validation) as WriteOptions['fieldValidation'],
    force: force === 'true' || force === '1',
  };
}

/** The body of a DELETE, or without one its query. @throws {StatusError} 400, 422 */
export function parseDeletion(
  body: JsonObject | undefined,
  query: URLSearchParams,
): Deletion & { readonly dryRun: boolean } {
  const grace = at(body, 'gracePeriodSeconds') ?? wholeNumber(query, 'gracePeriodSeconds');
  const policy = text(body, 'propagationPolicy') || (query.get('propagationPolicy') ?? '');
  const dryRun = text(body, 'dryRun', 0) || (query.get('dryRun') ?? '');
  const errors = [
    // What belongs to an object goes after it: nobody waits for it, and nothing is left behind.
    ...notOneOf('propagationPolicy', policy, ['', 'Background']),
    ...notOneOf('dryRun', dryRun, DRY_RUN),
  ];
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', errors);
  return {
    uid: text(body, 'preconditions', 'uid') || undefined,
    resourceVersion: text(body, 'preconditions', 'resourceVersion') || undefined,
    dryRun: dryRun === 'All',
    gracePeriodSeconds: typeof grace === 'number' ? grace : undefined,
  };
}
