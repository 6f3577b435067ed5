import { jsonEqual, withFields } from './fields/json.ts';
import type { FieldError, JsonObject, Kind } from './kind.ts';
import { forbiddenField, text } from './kinds/read.ts';
import { decodeObject } from './schema/decode.ts';
import { validateCustom } from './schema/validate.ts';
import { scaleErrors } from './scale.ts';
import { badRequest, conflict, internal, invalid, modified } from './status-error.ts';
import { metaOf, withMeta } from './stored-object.ts';
import type { Deletion, Subresource } from './objects.ts';

/** What is created has no status yet; of a built-in kind, an empty one is there from the beginning. */
export function withoutStatus(kind: Kind, object: JsonObject): JsonObject {
  if (!kind.status) return object;
  return withFields(object, { status: kind.custom ? undefined : decodeObject(kind, {}).object['status'] });
}

/** @throws {StatusError} 400 */
export function checkIdentity(object: JsonObject, name: string, namespace: string | undefined): void {
  const given = text(object, 'metadata', 'name');
  if (given !== name)
    throw badRequest(`the name of the object (${given}) does not match the name on the URL (${name})`);
  checkSpace(object, namespace);
}

export function checkSpace(object: JsonObject, namespace: string | undefined): void {
  const given = text(object, 'metadata', 'namespace');
  if (given !== '' && given !== namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
}

/** Who owns what the server alone says, so a write has it as it was or not at all. @throws {StatusError} 422 */
export function checkOwners(kind: Kind, before: JsonObject, after: JsonObject): void {
  const { managedFields } = metaOf(after);
  if (managedFields === undefined || jsonEqual(managedFields, metaOf(before)['managedFields'])) return;
  refuse(kind, after, [forbiddenField('metadata.managedFields', 'this server takes none from a request')]);
}

/**
 * What an apply would otherwise lose or mix up, in the words of Kubernetes where it finds it at the same time.
 * @throws {StatusError} 400, 422, 500
 */
export function checkApplied(kind: Kind, applied: JsonObject): void {
  if (metaOf(applied)['managedFields'] !== undefined) throw badRequest('metadata.managedFields must be nil');
  const { name, namespace = '' } = metaOf(applied);
  const { unknown } = decodeObject(kind, applied);
  if (unknown.length > 0) {
    const which = `${text(namespace)}/${text(name)}; ${kind.group}/${kind.version}, Kind=${kind.kind}`;
    const why = `.${unknown[0]}: field not declared in schema`;
    throw internal(`failed to create typed patch object (${which}): ${why}`);
  }
  const errors = validateCustom(kind.schema, applied, undefined, false);
  const wrong = errors.filter(({ type }) => type === 'TypeInvalid' || type === 'Duplicate');
  refuse(kind, applied, wrong);
}

/** @throws {StatusError} 409 where the object is another or has changed */
export function checkPreconditions(
  kind: Kind,
  name: string,
  object: JsonObject,
  { uid, resourceVersion }: Deletion,
): void {
  const what = kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`;
  const check = (
    wanted: string | undefined,
    field: 'uid' | 'resourceVersion',
    title: string,
    end: string,
  ) => {
    const found = text(object, 'metadata', field);
    if (wanted === undefined || wanted === found) return;
    const why = `the ${title} in the precondition (${wanted}) does not match the ${title} in record (${found}). The object might have been ${end}`;
    throw conflict(kind, name, why, what);
  };
  check(uid, 'uid', 'UID', 'deleted and then recreated');
  check(resourceVersion, 'resourceVersion', 'ResourceVersion', 'modified');
}

/** @throws {StatusError} 409 where a write is of an older version, 422 where it must say one */
export function checkVersion(kind: Kind, before: JsonObject, after: JsonObject): void {
  const name = text(before, 'metadata', 'name');
  const version = text(after, 'metadata', 'resourceVersion');
  if (version === '' && kind.needsVersion === true) {
    const detail = 'must be specified for an update';
    const error = { type: 'Invalid', path: 'metadata.resourceVersion', value: 0, detail } as const;
    throw invalid({ group: kind.group, kind: kind.plural }, name, [error]);
  }
  if (version !== '' && version !== '0' && version !== text(before, 'metadata', 'resourceVersion')) {
    throw modified(kind, name);
  }
}

/** What an update cannot change is as before. */
export function kept(
  kind: Kind,
  before: JsonObject,
  given: JsonObject,
  subresource: Subresource | undefined,
): JsonObject {
  const old = metaOf(before);
  const object = withMeta(given, {
    uid: metaOf(given)['uid'] ?? old['uid'],
    creationTimestamp: old['creationTimestamp'],
    generation: old['generation'],
    resourceVersion: old['resourceVersion'],
    deletionTimestamp: metaOf(given)['deletionTimestamp'] ?? old['deletionTimestamp'],
    deletionGracePeriodSeconds: old['deletionGracePeriodSeconds'],
  });
  if (!kind.status) return object;
  if (subresource !== 'status') return withFields(object, { status: before['status'] });
  const { managedFields } = metaOf(object);
  const metadata = kind.custom ? withFields(old, { managedFields }) : object['metadata'];
  return withFields(before, { status: object['status'], metadata });
}

export function contentErrors(
  kind: Kind,
  object: JsonObject,
  old: JsonObject | undefined,
  subresource: Subresource | undefined,
): readonly FieldError[] {
  if (object['kind'] !== kind.kind) {
    return [{ type: 'Invalid', path: 'kind', value: object['kind'] ?? '', detail: `must be ${kind.kind}` }];
  }
  if (kind.custom) {
    return [
      ...scaleErrors(kind, object),
      ...validateCustom(kind.schema, object, old, subresource === 'status'),
    ];
  }
  return subresource === undefined ? (kind.validate?.(object, old) ?? []) : [];
}

/** @throws {StatusError} 422 where there are errors */
export function refuse(kind: Kind, object: JsonObject, errors: readonly FieldError[]): void {
  if (errors.length === 0) return;
  const what = { group: kind.stored?.group ?? kind.group, kind: text(object, 'kind') || kind.kind };
  throw invalid(what, text(object, 'metadata', 'name'), errors);
}

export function specChanged(kind: Kind, before: JsonObject, after: JsonObject): boolean {
  const left = { metadata: undefined, ...(kind.status && { status: undefined }) };
  return !jsonEqual(withFields(before, left), withFields(after, left));
}

/** Seconds until the object is gone. */
export function graceOf(kind: Kind, object: JsonObject, { gracePeriodSeconds }: Deletion): number {
  if (kind.gracePeriod === undefined) return 0;
  const current = metaOf(object)['deletionGracePeriodSeconds'];
  // Once begun, it can only become shorter.
  if (typeof current === 'number') return Math.min(current, gracePeriodSeconds ?? current);
  const own = kind.gracePeriod(object);
  return own === 0 ? 0 : Math.abs(gracePeriodSeconds ?? own);
}
