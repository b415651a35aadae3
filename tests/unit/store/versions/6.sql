INSERT INTO join_tokens (id, org, revision, kind, label, hash, uses_max, uses_left, expires, needs_approval, node_name,
    node_lifetime, is_revoked, created, created_by, last_used)
    VALUES (2, 1, 1, 'agent', 'first', {x:68}, 1, 0, 1800000000000, 0, '', 0, 0, 1, 'owner', 2);
INSERT INTO nodes (id, org, revision, kind, name, state, tls_key, tls_key_next, wg_key, seal_key, address4, address6, token,
    created, expires, settings, facts, last_seen, applied_epoch, applied_version, applied_hash, certificate_serial,
    certificate_expires, control, wanted_version)
    VALUES (3, 1, 2, 'agent', 'home', 'active', {x:6162}, NULL, {x:77}, NULL, {x:64400001}, NULL, 2, 1, 0, '', '', 5, 1, 1,
    NULL, NULL, 0, 7, 3);
INSERT INTO addresses (id, org, revision, space, place, address, node, state, since)
    VALUES (4, 1, 1, 'ipv4', 1681915905, {x:64400001}, 3, 'held', 1);
INSERT INTO services (id, org, revision, name, kind, hosts, paths, listen, access, settings, is_enabled, owner, created, expires)
    VALUES (5, 1, 1, 'app', 'http', '["app.example.com"]', '[]', '[]', '', '', 1, 'owner', 1, 0);
INSERT INTO targets (id, org, revision, service, node, url, weight, is_backup, is_enabled, health, settings, created)
    VALUES (6, 1, 1, 5, 3, 'http://localhost:8080', 1, 0, 1, '', '', 1);
INSERT INTO controls (id, org, revision, url, started, last_seen) VALUES (7, 1, 1, 'https://c1:8000', 4, 5);
UPDATE counters SET value = 7 WHERE name = 'id';
INSERT INTO leader (id, control, epoch, since) VALUES (1, 'c1', 1, 5);
INSERT INTO dispatches (id, org, request, caller, method, url, agent, source, error, begun, status, duration_ms, answer_bytes, attempts)
    VALUES (1, 1, 'r1', 'sender', 'GET', 'https://example.com/', 'ag-1', '192.0.2.1', '', 6, 200, 7, 8, 1);
UPDATE counters SET value = 1 WHERE name = 'dispatch';
INSERT INTO dispatch_sources (org, agent, address, requests, failures, used) VALUES (1, 'ag-1', '192.0.2.1', 1, 0, 6);
INSERT INTO dispatch_bodies (id, org, begun, past, asked, asked_bytes, answered)
    VALUES (1, 1, 6, 0, {x:61}, 1, {x:00});
UPDATE counters SET value = 2 WHERE name = 'dispatch_bodies';
