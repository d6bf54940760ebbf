"""The shell lines of the operations guide, word for word, by their numbers (docs/operations/guide.md)."""

from typing import Final

from getpro.operations.queries import GUIDES

PSQL: Final = "docker-compose exec postgres psql -U postgres -d 2getpro_v2"
GUIDE: Final = {
    "G1": "docker-compose ps",
    "G2": "docker-compose logs --since 24h --tail=100 bot | grep ERROR",
    "G3": "curl http://localhost:9090/api/v1/query?query=up",
    "G8": "ls -lh /backups/ | tail -5",
    "G9": "df -h",
    "G10": "free -h",
    "G11": f'{PSQL} -c "\n{GUIDES["day_summary"]}\n"',
    "G15": "docker-compose exec bot pip list --outdated",
    "G17": "docker-compose exec bot pip-audit",
    "G20": f'{PSQL} -c "\n{GUIDES["table_sizes"]}\n"',
    "G21": f'{PSQL} -c "VACUUM ANALYZE;"',
    "G22": "ls -lh /backups/",
    "G23": "gunzip < /backups/latest.sql.gz | docker-compose exec -T postgres psql -U postgres test_db",
    "G24": "docker-compose exec postgres pg_dump -U postgres 2getpro_v2 --schema-only > schema_check.sql",
    "G30": f"{PSQL} << EOF\n{GUIDES['new_users_by_month']}\nEOF",
    "G31": "df -h | awk '{print $5, $6}' | grep -v Use",
    "G43": "docker-compose restart bot",
    "G44": "docker-compose logs -f bot",
    "G45": PSQL,
    "G46": "docker-compose exec postgres pg_dump -U postgres 2getpro_v2 | gzip > backup.sql.gz",
    "G47": "curl http://localhost:9090/metrics",
    "G48": "docker-compose exec bot sh -c \"find logs/ -name '*.log' -mtime +7 -delete\"",
}
MONDAY: Final = f"""{PSQL} << EOF
{GUIDES["new_users_week"]}
{GUIDES["active_subscriptions"]}
{GUIDES["revenue_week"]}
EOF"""
