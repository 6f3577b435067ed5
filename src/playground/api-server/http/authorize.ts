import type { RequestInfo } from '../faults.ts';
import { forbidden } from '../status-error.ts';

/** As in a Role. */
interface PolicyRule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly verbs: readonly string[];
}

/** Who may come in, and what they may do. */
export interface User {
  /** `system:serviceaccount:namespace:name` for a ServiceAccount. */
  readonly name: string;
  /** Of the Authorization header. */
  readonly token: string;
  /** `all`: everything, as system:masters. */
  readonly rules: 'all' | readonly GrantedRule[];
}

/** A rule, and where it holds; everywhere when `namespace` is absent. */
export interface GrantedRule extends PolicyRule {
  readonly namespace?: string;
}

/** What everybody may read: what clients need to find their way. */
const OPEN_PATHS = ['/api', '/apis', '/openapi', '/version', '/healthz', '/livez', '/readyz'];

export function mayRead(user: User, path: string): boolean {
  return user.rules === 'all' || OPEN_PATHS.some((open) => path === open || path.startsWith(`${open}/`));
}

function isAllowed(user: User, request: RequestInfo): boolean {
  if (user.rules === 'all') return true;
  const { verb, group, resource, subresource, name } = request;
  const namespace = namespaceOf(request);
  const full = subresource === undefined ? resource : `${resource}/${subresource}`;
  const matches = (list: readonly string[] | undefined, value: string) =>
    list?.some((item) => item === '*' || item === value) === true;
  return user.rules.some(
    (rule) =>
      (rule.namespace === undefined || rule.namespace === namespace) &&
      matches(rule.verbs, verb) &&
      matches(rule.apiGroups, group) &&
      (matches(rule.resources, full) ||
        (subresource !== undefined && matches(rule.resources, `*/${subresource}`))) &&
      (rule.resourceNames === undefined || (name !== undefined && rule.resourceNames.includes(name))),
  );
}

/** A namespace itself is taken for something in it. */
function namespaceOf({
  group,
  resource,
  namespace,
  name,
}: Pick<RequestInfo, 'group' | 'resource' | 'namespace' | 'name'>): string | undefined {
  return group === '' && resource === 'namespaces' ? name : namespace;
}

/** @throws {StatusError} 403 */
export function authorize(user: User, request: RequestInfo): void {
  if (isAllowed(user, request)) return;
  const { verb, group, resource, subresource, name = '' } = request;
  const namespace = namespaceOf(request);
  const plural = subresource === undefined ? resource : `${resource}/${subresource}`;
  const scope = namespace === undefined ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const why = `User "${user.name}" cannot ${verb} resource "${plural}" in API group "${group}" ${scope}`;
  throw forbidden({ group, plural: resource }, name, why);
}
