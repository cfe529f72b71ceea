from django.contrib.admin import AdminSite


class BatonAdminSite(AdminSite):
    site_header = "Baton"
    site_title = "Baton"
    index_title = "Back office"
    site_url = None
